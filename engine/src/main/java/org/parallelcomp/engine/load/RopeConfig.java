package org.parallelcomp.engine.load;

import org.parallelcomp.api.backend.Rope;

/**
 * The rotary embedding of a model, scaling included.
 *
 * @param style which dimensions form a pair
 * @param inverseFrequencies angle per position of each pair, {@code [rotaryDims / 2]}
 */
public record RopeConfig(Rope.Style style, float[] inverseFrequencies) {
  /** Returns how many dimensions of a head are rotated. */
  public int rotaryDims() {
    return 2 * inverseFrequencies.length;
  }
}
