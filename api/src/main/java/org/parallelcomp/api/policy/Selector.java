package org.parallelcomp.api.policy;

import java.util.Set;
import org.parallelcomp.api.backend.TensorOps;
import org.parallelcomp.api.cache.TokenSelection;
import org.parallelcomp.api.evidence.Evidence;
import org.parallelcomp.api.evidence.LayerEvidence;
import org.parallelcomp.api.tensor.Tensor;

/** Turns scores into a selection of exactly as many tokens as the budget allows. */
@FunctionalInterface
public interface Selector {
  /**
   * Optional. Returns the evidence that {@link #select} reads beside the scores; the default is
   * none.
   */
  default Set<Evidence> requires() {
    return Set.of();
  }

  /**
   * Optional. As {@link TokenScorer#windowTokens}, for selectors that require attention mass or
   * window queries.
   */
  default int windowTokens(int queryTokens) {
    return queryTokens;
  }

  /**
   * Returns the selection: {@code keptTokens * kvHeads} tokens in all.
   *
   * @param scores {@code [kvHeads, contextTokens]}
   * @param keptTokens how many tokens per kv head may stay, on average over the heads
   * @param evidence what was observed beside the scores; selectors that require nothing may still
   *     ask it for numbers of heads and tokens
   */
  TokenSelection select(Tensor scores, int keptTokens, LayerEvidence evidence, TensorOps ops);
}
