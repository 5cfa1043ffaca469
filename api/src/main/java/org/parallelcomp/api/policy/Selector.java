package org.parallelcomp.api.policy;

import org.parallelcomp.api.backend.TensorOps;
import org.parallelcomp.api.cache.TokenSelection;
import org.parallelcomp.api.tensor.Tensor;

/** Turns scores into a selection of exactly as many tokens as the budget allows. */
@FunctionalInterface
public interface Selector {
  /**
   * Returns the selection.
   *
   * @param scores {@code [kvHeads, contextTokens]}
   * @param keptTokens how many tokens per kv head may stay, on average over the heads
   */
  TokenSelection select(Tensor scores, int keptTokens, TensorOps ops);
}
