package org.parallelcomp.api.backend;

import org.parallelcomp.api.tensor.Tensor;

/**
 * Rotary position embedding (arXiv 2104.09864) as a table, so that every scaling of the frequencies
 * is the engine's affair and none of a backend.
 *
 * <pre>
 * cosines, sines  [positions, rotaryDims / 2]  F32
 * INTERLEAVED:  pair i = (2i, 2i + 1)
 * HALF_SPLIT:   pair i = (i, i + rotaryDims / 2)
 * (a, b) becomes (a cos - b sin, a sin + b cos); dimensions from rotaryDims on stay as they are
 * </pre>
 *
 * @param style which dimensions form a pair
 * @param cosines cosine of each position's angle
 * @param sines sine of each position's angle
 */
public record Rope(Style style, Tensor cosines, Tensor sines) {
  /** Which dimensions of a head form a pair. */
  public enum Style {
    /** Neighbours, as in GGUF files of Llama models. */
    INTERLEAVED,
    /** First and second half, as in the Hugging Face implementation. */
    HALF_SPLIT
  }

  /** Returns how many dimensions of a head are rotated. */
  public int rotaryDims() {
    return 2 * cosines.shape().intDim(1);
  }

  /** Returns the first position beyond the table. */
  public int positions() {
    return cosines.shape().intDim(0);
  }
}
