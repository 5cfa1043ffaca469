package org.parallelcomp.engine.generate;

import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.engine.load.ModelConfig;
import org.parallelcomp.engine.model.CacheFormat;

/**
 * The memory that a request will take, known before any of it is allocated.
 *
 * @param weightBytes weights, mapped from the file or loaded already
 * @param cacheBytes keys and values
 * @param workspaceBytes activations of one block
 */
public record MemoryPlan(long weightBytes, long cacheBytes, long workspaceBytes) {
  private static final String ADVICE =
      "cut the text into smaller chunks, keep fewer of them, or shorten it.";

  /** Returns a failure, with what to lower if it was for lack of memory and does not say so. */
  static InferenceException withAdvice(InferenceException failure) {
    String message = String.valueOf(failure.getMessage());
    if (failure.code() != ErrorCode.OUT_OF_MEMORY || message.endsWith(ADVICE)) {
      return failure;
    }
    return new InferenceException(
        ErrorCode.OUT_OF_MEMORY, message.replaceAll("\\.$", "") + "; " + ADVICE, failure);
  }

  /**
   * Returns the plan for a model.
   *
   * @param weightBytes bytes of all weights
   * @param cachedTokens tokens whose keys and values are held at once in every layer
   * @param blockTokens tokens that pass through the decoder at once
   */
  public static MemoryPlan of(
      CacheFormat format, long weightBytes, long cachedTokens, int blockTokens) {
    ModelConfig config = format.config();
    long rowNumbers =
        3L * config.hiddenDim()
            + 2L * config.queryHeads() * config.headDim()
            + 2L * config.kvHeads() * config.headDim()
            + 2L * config.feedForwardDim()
            + config.queryHeads();
    return new MemoryPlan(
        weightBytes,
        format.bytes(cachedTokens),
        Float.BYTES * (rowNumbers * blockTokens + config.vocab()));
  }

  /** Returns the plan with so many more bytes of workspace. */
  MemoryPlan withWorkspace(long bytes) {
    return new MemoryPlan(weightBytes, cacheBytes, workspaceBytes + bytes);
  }

  /**
   * Refuses what will not fit.
   *
   * @param freeBytes memory that can still be allocated
   * @throws InferenceException OUT_OF_MEMORY with the plan in bytes and what to lower
   */
  public void requireFits(long freeBytes) {
    long needed = cacheBytes + workspaceBytes;
    if (needed > freeBytes) {
      throw new InferenceException(
          ErrorCode.OUT_OF_MEMORY,
          "This needs "
              + needed
              + " bytes beside the weights' "
              + weightBytes
              + " (keys and values "
              + cacheBytes
              + ", workspace "
              + workspaceBytes
              + "), but "
              + freeBytes
              + " are free; "
              + ADVICE);
    }
  }
}
