package org.parallelcomp.api.policy;

import java.util.Optional;

/**
 * When tokens are evicted, and what becomes of those that stay.
 *
 * @param prefill when the context is cut
 * @param rerotate whether kept keys are rotated to consecutive positions, so that the question
 *     stands directly behind them; otherwise they stay where they were read
 * @param decoding how the cache is cut while the answer grows, or empty if it only grows
 */
public record EvictionSchedule(
    Prefill prefill, boolean rerotate, Optional<WhileDecoding> decoding) {
  /** When the context is cut. */
  public enum Prefill {
    /** Each chunk on its own, layer by layer while it is prefilled: no uncut cache ever exists. */
    PER_CHUNK,
    /**
     * Once, over the merged context, layer by layer while the question passes: the budget is shared
     * by the kept chunks as their attention says, and the uncut caches of the kept chunks exist for
     * that long.
     */
    MERGED,
    /** Not at all; the budget counts while decoding only. */
    NEVER
  }

  /**
   * How the cache is cut while the answer grows. The prompt's prefix always stays, and so do the
   * newest tokens, whose queries are the evidence.
   *
   * @param everyTokens after so many new tokens the cache is looked at, at least 1
   * @param maxTokens tokens per kv head and layer, on average over the heads, above which it is cut
   *     to so many; {@link Integer#MAX_VALUE} for no such limit
   * @param maxBytes bytes of all keys and values above which it is cut to so many; {@link
   *     Long#MAX_VALUE} for no such limit
   */
  public record WhileDecoding(int everyTokens, int maxTokens, long maxBytes) {
    public WhileDecoding {
      if (everyTokens < 1 || maxTokens < 1 || maxBytes < 1) {
        throw new IllegalArgumentException(
            "cannot cut every " + everyTokens + " tokens to " + maxTokens + " or " + maxBytes);
      }
    }
  }
}
