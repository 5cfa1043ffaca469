package org.parallelcomp.api.backend;

import org.jspecify.annotations.Nullable;
import org.parallelcomp.api.tensor.Shape;
import org.parallelcomp.api.tensor.Tensor;

/**
 * The operations of a decoder layer, and two fused blocks that a backend may do better as a whole.
 * Activations are F32 and may be views whose innermost axis is gapless; weights have any type for
 * which {@link Backend#supports} says yes. Rows are independent of one another.
 */
public interface DecoderOps {
  /**
   * Looks up embeddings.
   *
   * <pre>
   * out      [tokens, hiddenDim]
   * table    [vocab, hiddenDim]   any weight type
   * tokenIds [tokens]  I32
   * </pre>
   */
  void embed(Tensor out, Tensor table, Tensor tokenIds);

  /**
   * Computes {@code out = in · weightᵀ + bias}.
   *
   * <pre>
   * out    [tokens, outputDim]
   * weight [outputDim, inputDim]  any weight type
   * bias   [outputDim], or null
   * in     [tokens, inputDim]
   * </pre>
   */
  void linear(Tensor out, Tensor weight, @Nullable Tensor bias, Tensor in);

  /**
   * Computes {@code out = in / sqrt(mean(in²) + epsilon) * weight} along the innermost axis
   * (RMSNorm, arXiv 1910.07467). {@code out} may be {@code in}.
   *
   * <pre>
   * out, in [..., dim]
   * weight  [dim]
   * </pre>
   */
  void rmsNorm(Tensor out, Tensor in, Tensor weight, float epsilon);

  /**
   * Rotates in place.
   *
   * <pre>
   * inOut     [tokens, heads, headDim]
   * positions [tokens]  I32, each below rope.positions()
   * </pre>
   */
  void rope(Tensor inOut, Tensor positions, Rope rope);

  /**
   * Computes {@code out = gate / (1 + exp(-gate)) * up}. {@code out} may be {@code gate}.
   *
   * <pre>
   * out, gate, up [tokens, feedForwardDim]
   * </pre>
   */
  void swiGlu(Tensor out, Tensor gate, Tensor up);

  /** Computes {@code inOut = inOut + term} for tensors of one shape. */
  void add(Tensor inOut, Tensor term);

  /**
   * Computes the log-probability of one token per row: {@code out = logits[target] -
   * log(sum(exp(logits)))}.
   *
   * <pre>
   * out     [rows]
   * logits  [rows, vocab]
   * targets [rows]  I32
   * </pre>
   */
  void tokenLogLikelihood(Tensor out, Tensor logits, Tensor targets);

  /**
   * Optional. Everything before the attention of a layer; the default composes the operations
   * above.
   *
   * <pre>
   * n = rmsNorm(hidden)
   * queries = rope(norm(n · queryᵀ + bias))   [tokens, queryHeads, headDim]
   * keys    = rope(norm(n · keyᵀ + bias))     [tokens, kvHeads, headDim]
   * values  = n · valueᵀ + bias               [tokens, kvHeads, headDim]
   * hidden                                    [tokens, hiddenDim]
   * positions                                 [tokens]  I32
   * </pre>
   */
  default void attentionInput(
      Tensor queries,
      Tensor keys,
      Tensor values,
      AttentionBlock block,
      Tensor hidden,
      Tensor positions,
      Rope rope,
      Scratch scratch) {
    Tensor normed = scratch.take("normed", hidden.shape().toArray());
    rmsNorm(normed, hidden, block.norm(), block.epsilon());
    linear(flat(queries), block.query(), block.queryBias(), normed);
    linear(flat(keys), block.key(), block.keyBias(), normed);
    linear(flat(values), block.value(), block.valueBias(), normed);
    if (block.queryNorm() != null) {
      rmsNorm(queries, queries, block.queryNorm(), block.epsilon());
    }
    if (block.keyNorm() != null) {
      rmsNorm(keys, keys, block.keyNorm(), block.epsilon());
    }
    rope(queries, positions, rope);
    rope(keys, positions, rope);
  }

  /**
   * Optional. Everything behind the attention of a layer; the default composes the operations
   * above.
   *
   * <pre>
   * hidden += attended · outputᵀ + bias
   * n = rmsNorm(hidden)
   * hidden += swiGlu(n · gateᵀ, n · upᵀ) · downᵀ
   *
   * hidden   [tokens, hiddenDim], read and written
   * attended [tokens, queryHeads, headDim]
   * </pre>
   */
  default void attentionOutputAndFeedForward(
      Tensor hidden,
      Tensor attended,
      AttentionBlock attention,
      FeedForwardBlock feedForward,
      Scratch scratch) {
    long tokens = hidden.shape().dim(0);
    long feedForwardDim = feedForward.gate().shape().dim(0);
    Tensor projected = scratch.take("projected", hidden.shape().toArray());
    linear(projected, attention.output(), attention.outputBias(), flat(attended));
    add(hidden, projected);
    Tensor normed = scratch.take("normed", hidden.shape().toArray());
    rmsNorm(normed, hidden, feedForward.norm(), feedForward.epsilon());
    Tensor gate = scratch.take("gate", tokens, feedForwardDim);
    Tensor up = scratch.take("up", tokens, feedForwardDim);
    linear(gate, feedForward.gate(), null, normed);
    linear(up, feedForward.up(), null, normed);
    swiGlu(gate, gate, up);
    linear(projected, feedForward.down(), null, gate);
    add(hidden, projected);
  }

  private static Tensor flat(Tensor heads) {
    Shape shape = heads.shape();
    return heads.reshape(Shape.of(shape.dim(0), shape.dim(1) * shape.dim(2)));
  }
}
