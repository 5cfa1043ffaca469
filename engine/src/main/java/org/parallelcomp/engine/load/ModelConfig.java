package org.parallelcomp.engine.load;

/**
 * The numbers that drive the one decoder. What a model has or lacks beyond them (biases, q/k norms,
 * an output matrix of its own) shows in the names of its weights.
 *
 * @param architecture the architecture's name in the file
 * @param layers decoder layers
 * @param hiddenDim numbers per token between layers
 * @param queryHeads query heads per layer
 * @param kvHeads kv heads per layer
 * @param headDim numbers per head
 * @param feedForwardDim numbers per token inside the feed-forward part
 * @param vocab tokens of the vocabulary
 * @param trainedWindow tokens that the model was trained on at once, or its sliding window if that
 *     is smaller
 * @param rmsEpsilon added to the mean square in every RMSNorm
 * @param rope the rotary embedding
 */
public record ModelConfig(
    String architecture,
    int layers,
    int hiddenDim,
    int queryHeads,
    int kvHeads,
    int headDim,
    int feedForwardDim,
    int vocab,
    int trainedWindow,
    float rmsEpsilon,
    RopeConfig rope) {
  /** Returns this configuration with another rotary embedding. */
  public ModelConfig withRope(RopeConfig value) {
    return new ModelConfig(
        architecture,
        layers,
        hiddenDim,
        queryHeads,
        kvHeads,
        headDim,
        feedForwardDim,
        vocab,
        trainedWindow,
        rmsEpsilon,
        value);
  }
}
