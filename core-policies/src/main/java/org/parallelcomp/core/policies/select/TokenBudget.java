package org.parallelcomp.core.policies.select;

import java.util.List;
import org.parallelcomp.api.policy.BudgetAllocator;
import org.parallelcomp.api.policy.BudgetRequest;
import org.parallelcomp.api.policy.Parameter;
import org.parallelcomp.api.policy.PolicyFactory;
import org.parallelcomp.api.policy.PolicyKind;

/**
 * Each kv head keeps a fixed number of tokens of each chunk.
 *
 * <p>The same in every layer; a chunk that has fewer keeps all it has.
 *
 * <p><i>Based on</i> the capacity of ParallelComp, <a href="https://arxiv.org/abs/2502.14317">arXiv
 * 2502.14317</a>, appendix C.
 *
 * <p>Parameters: {@code keep} = 256 tokens.
 *
 * <p><i>Differs from the paper in</i> the number: 2000 and 4000 there, for windows of 4096 and
 * 8192.
 */
public final class TokenBudget implements BudgetAllocator {
  /** Makes the policy {@code tokens}. */
  public static final PolicyFactory<BudgetAllocator> FACTORY =
      new PolicyFactory<>(
          PolicyKind.BUDGET,
          "tokens",
          "A fixed number of tokens per chunk, the same in every layer and kv head.",
          "A chunk that has fewer keeps all. Based on ParallelComp (arXiv 2502.14317, appendix C).",
          List.of(
              Parameter.integer(
                  "keep", 256, 1, "tokens", "tokens of a chunk that each head keeps")),
          p -> new TokenBudget(p.integer("keep")));

  private final int keep;

  private TokenBudget(int keep) {
    this.keep = keep;
  }

  @Override
  public int keptTokens(BudgetRequest request) {
    return Math.min(keep, request.contextTokens());
  }
}
