package org.parallelcomp.core.policies.select;

import java.util.List;
import org.parallelcomp.api.policy.BudgetAllocator;
import org.parallelcomp.api.policy.BudgetRequest;
import org.parallelcomp.api.policy.PolicyFactory;
import org.parallelcomp.api.policy.PolicyKind;

/**
 * Every token stays.
 *
 * <p>The budget is the context, so nothing is evicted and no score computed.
 *
 * <p><i>Based on</i> no paper.
 *
 * <p>Parameters: none.
 */
public final class EverythingBudget implements BudgetAllocator {
  /** Makes the policy {@code everything}. */
  public static final PolicyFactory<BudgetAllocator> FACTORY =
      new PolicyFactory<>(
          PolicyKind.BUDGET,
          "everything",
          "Every token of a kept chunk stays.",
          "Nothing is evicted inside a chunk and no score is computed. No paper.",
          List.of(),
          p -> new EverythingBudget());

  private EverythingBudget() {}

  @Override
  public int keptTokens(BudgetRequest request) {
    return request.contextTokens();
  }

  @Override
  public boolean evicts() {
    return false;
  }
}
