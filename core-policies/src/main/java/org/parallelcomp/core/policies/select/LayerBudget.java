package org.parallelcomp.core.policies.select;

import java.util.List;
import org.parallelcomp.api.policy.BudgetAllocator;
import org.parallelcomp.api.policy.BudgetRequest;
import org.parallelcomp.api.policy.Parameter;
import org.parallelcomp.api.policy.PolicyFactory;
import org.parallelcomp.api.policy.PolicyKind;

/**
 * Another budget in each part of the depth.
 *
 * <p>The layers are divided into as many equal parts as there are budgets; with as many budgets as
 * layers each layer has its own.
 *
 * <p><i>Based on</i> no paper.
 *
 * <p>Parameters: {@code budgets} = [fraction(keep=0.5), fraction(keep=0.25)], from the first layers
 * to the last.
 */
public final class LayerBudget implements BudgetAllocator {
  /** Makes the policy {@code per-layer}. */
  public static final PolicyFactory<BudgetAllocator> FACTORY =
      new PolicyFactory<>(
          PolicyKind.BUDGET,
          "per-layer",
          "Another budget in each part of the depth, or in each layer.",
          "The layers are divided into as many equal parts as there are budgets. No paper.",
          List.of(
              Parameter.policies(
                  "budgets",
                  PolicyKind.BUDGET,
                  "[fraction(keep=0.5), fraction(keep=0.25)]",
                  "budgets of equal parts of the depth, from the first layers to the last")),
          p -> new LayerBudget(p.policies("budgets", BudgetAllocator.class)));

  private final List<BudgetAllocator> budgets;

  private LayerBudget(List<BudgetAllocator> budgets) {
    this.budgets = budgets;
  }

  @Override
  public int keptTokens(BudgetRequest request) {
    int part = (int) ((long) request.layer() * budgets.size() / request.layers());
    return budgets.get(part).keptTokens(request);
  }
}
