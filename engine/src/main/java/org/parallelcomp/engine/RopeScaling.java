package org.parallelcomp.engine;

import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;

/**
 * How the rotary positions of a text longer than the trained window are scaled, without training.
 * The usual companions of a comparison; the plans of this framework do not need it.
 *
 * @param method the formula
 * @param factor how many times the trained window is to fit, at least 1; 0 for as many times as the
 *     request needs, which leaves requests within the window as they are
 */
public record RopeScaling(Method method, double factor) {
  /** The positions as the model was trained with them. */
  public static final RopeScaling NONE = new RopeScaling(Method.NONE, 1);

  /** The formulas. */
  public enum Method {
    /** No scaling. */
    NONE,
    /**
     * NTK-aware: the base grows so that the slowest pair turns as far as before (r/LocalLLaMA,
     * 2023; arXiv 2309.00071, section 3.1).
     */
    NTK,
    /** YaRN (arXiv 2309.00071): slow pairs are interpolated, fast ones kept, attention sharper. */
    YARN
  }

  public RopeScaling {
    if (factor != 0 && !(factor >= 1 && Double.isFinite(factor))) {
      throw new InferenceException(
          ErrorCode.INVALID_ARGUMENT,
          "The factor of a position scaling must be at least 1, or 0 for what the text needs, not "
              + factor
              + ".");
    }
  }
}
