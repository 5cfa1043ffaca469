package org.parallelcomp.engine.generate;

import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.engine.load.ModelConfig;

/**
 * The memory that a request will take, known before any of it is allocated.
 *
 * @param weightBytes weights, mapped from the file
 * @param cacheBytes keys and values
 * @param workspaceBytes activations of one block
 */
public record MemoryPlan(long weightBytes, long cacheBytes, long workspaceBytes) {
  /**
   * Returns the plan for a model.
   *
   * @param weightBytes bytes of all weights
   * @param cachedTokens tokens whose keys and values are held at once in every layer
   * @param blockTokens tokens that pass through the decoder at once
   */
  public static MemoryPlan of(
      ModelConfig config, long weightBytes, long cachedTokens, int blockTokens) {
    long cacheNumbers = 2L * config.layers() * config.kvHeads() * config.headDim() * cachedTokens;
    long rowNumbers =
        3L * config.hiddenDim()
            + 2L * config.queryHeads() * config.headDim()
            + 2L * config.kvHeads() * config.headDim()
            + 2L * config.feedForwardDim()
            + config.queryHeads();
    return new MemoryPlan(
        weightBytes,
        Float.BYTES * cacheNumbers,
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
              + " are free; cut the text into smaller chunks, keep fewer of them, or shorten it.");
    }
  }
}
