package org.parallelcomp.api.policy;

/** Says how many tokens of a chunk each layer may keep. */
@FunctionalInterface
public interface BudgetAllocator {
  /**
   * Returns the exact number of tokens to keep per kv head (on average over the heads), between 0
   * and {@link BudgetRequest#contextTokens()}. As many as there are means that nothing is evicted
   * and no score computed.
   */
  int keptTokens(BudgetRequest request);

  /**
   * Optional. Returns whether this budget ever keeps less than everything, so that a result can
   * tell whether eviction was asked for; the default is true.
   */
  default boolean evicts() {
    return true;
  }
}
