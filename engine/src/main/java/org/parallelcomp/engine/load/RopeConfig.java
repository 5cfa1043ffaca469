package org.parallelcomp.engine.load;

import org.parallelcomp.api.backend.Rope;

/**
 * The rotary embedding of a model, scaling included.
 *
 * @param style which dimensions form a pair
 * @param inverseFrequencies angle per position of each pair, {@code [rotaryDims / 2]}
 * @param attentionFactor by which the products of queries and keys are multiplied beside 1 /
 *     sqrt(headDim); 1 but for YaRN
 */
public record RopeConfig(Rope.Style style, float[] inverseFrequencies, float attentionFactor) {
  /** Creates one that leaves the products as they are. */
  public RopeConfig(Rope.Style style, float[] inverseFrequencies) {
    this(style, inverseFrequencies, 1);
  }

  /** Returns how many dimensions of a head are rotated. */
  public int rotaryDims() {
    return 2 * inverseFrequencies.length;
  }
}
