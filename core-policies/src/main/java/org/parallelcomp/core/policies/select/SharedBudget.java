package org.parallelcomp.core.policies.select;

import java.util.List;
import org.parallelcomp.api.policy.BudgetAllocator;
import org.parallelcomp.api.policy.BudgetRequest;
import org.parallelcomp.api.policy.Parameter;
import org.parallelcomp.api.policy.PolicyFactory;
import org.parallelcomp.api.policy.PolicyKind;

/**
 * The kept chunks of a request share a number of tokens.
 *
 * <p>Each gets an equal part, rounded down, but at least one token; a chunk that has fewer keeps
 * all it has. So a request keeps no more than that in any layer and kv head, however many chunks
 * stay.
 *
 * <p><i>Based on</i> no paper.
 *
 * <p>Parameters: {@code keep} = 1024 tokens.
 */
public final class SharedBudget implements BudgetAllocator {
  /** Makes the policy {@code shared-tokens}. */
  public static final PolicyFactory<BudgetAllocator> FACTORY =
      new PolicyFactory<>(
          PolicyKind.BUDGET,
          "shared-tokens",
          "A number of tokens that the kept chunks of a request share equally.",
          "Rounded down to whole tokens, but at least one for each chunk. No paper.",
          List.of(
              Parameter.integer(
                  "keep", 1024, 1, "tokens", "tokens of all kept chunks that each head keeps")),
          p -> new SharedBudget(p.integer("keep")));

  private final int keep;

  private SharedBudget(int keep) {
    this.keep = keep;
  }

  @Override
  public int keptTokens(BudgetRequest request) {
    return Math.min(request.contextTokens(), Math.max(1, keep / request.keptChunks()));
  }
}
