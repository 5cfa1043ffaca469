package org.parallelcomp.backend.cpu.vector.simd;

import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;

/** The width of the vectors, which is settled when the first kernel is used. */
public final class VectorWidth {
  private VectorWidth() {}

  /** Returns the width in bits: 512, 256 or 128. */
  public static int bits() {
    return Species.BITS;
  }

  /**
   * Asks for vectors of at most this width.
   *
   * @throws InferenceException INVALID_ARGUMENT if wider ones are in use already
   */
  public static void cap(int bits) {
    if (System.getProperty(Species.WIDTH_PROPERTY) == null) {
      System.setProperty(Species.WIDTH_PROPERTY, Integer.toString(bits));
    }
    if (Species.BITS > bits) {
      throw new InferenceException(
          ErrorCode.INVALID_ARGUMENT,
          "Vectors of "
              + Species.BITS
              + " bits are in use already; set -D"
              + Species.WIDTH_PROPERTY
              + "="
              + bits
              + " when starting java.");
    }
  }
}
