package org.parallelcomp.api.backend;

import org.parallelcomp.api.tensor.DType;

/**
 * How a backend is used at its best. An engine asks once, before it plans memory.
 *
 * @param cacheType the type in which keys and values are kept: F32, F16 or BF16
 * @param blockTokens how many tokens pass through the decoder at once, at least 1: those of one
 *     sequence, or of several that together have no more; more take more memory for activations
 * @param copiesWeights whether loaded tensors take memory of the device, as many bytes as in the
 *     file; false where they are computed on as they lie in it
 */
public record BackendTraits(DType cacheType, int blockTokens, boolean copiesWeights) {
  /**
   * A processor's: exact caches, weights mapped from their file. Matrix products are at full speed
   * from a few hundred rows on, and 2048 rows hold one chunk of a model with a short window.
   */
  public static final BackendTraits DEFAULT = new BackendTraits(DType.F32, 2048, false);

  public BackendTraits {
    if (cacheType != DType.F32 && cacheType != DType.F16 && cacheType != DType.BF16) {
      throw new IllegalArgumentException("keys and values cannot be kept as " + cacheType);
    }
    if (blockTokens < 1) {
      throw new IllegalArgumentException("a block cannot have " + blockTokens + " tokens");
    }
  }
}
