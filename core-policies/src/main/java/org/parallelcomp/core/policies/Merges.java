package org.parallelcomp.core.policies;

import java.util.List;
import org.parallelcomp.api.policy.ContextMerge;
import org.parallelcomp.api.policy.PolicyFactory;
import org.parallelcomp.api.policy.PolicyKind;

/**
 * The two ways in which kept chunks become one context.
 *
 * <p>{@code parallel} lays the kept caches side by side in document order, at positions that they
 * share, and prefills the question behind the longest. {@code reread} prefills the kept chunks once
 * more as one text, at positions of their own, so that each is read in the light of the others.
 *
 * <p><i>Based on</i> ParallelComp, <a href="https://arxiv.org/abs/2502.14317">arXiv 2502.14317</a>,
 * equations 9 to 11 ({@code parallel}).
 *
 * <p>Parameters: none.
 *
 * <p><i>Differs from the paper in</i> {@code reread}, which the paper does not have.
 */
final class Merges {
  /** Makes the policy {@code parallel}. */
  static final PolicyFactory<ContextMerge> PARALLEL =
      new PolicyFactory<>(
          PolicyKind.MERGE,
          "parallel",
          "The kept caches side by side, the question behind the longest.",
          "Nothing is computed again; the chunks share positions. Based on ParallelComp (arXiv"
              + " 2502.14317, equations 9 to 11).",
          List.of(),
          p -> new ContextMerge.Parallel());

  /** Makes the policy {@code reread}. */
  static final PolicyFactory<ContextMerge> REREAD =
      new PolicyFactory<>(
          PolicyKind.MERGE,
          "reread",
          "The kept chunks prefilled once more as one text, the question behind.",
          "Each chunk is read in the light of those before it, without shared positions; the kept"
              + " chunks must fit the trained window together. Not in the paper.",
          List.of(),
          p -> new ContextMerge.Reread());

  private Merges() {}
}
