package org.parallelcomp.core.policies.select;

import java.util.List;
import org.parallelcomp.api.policy.BudgetAllocator;
import org.parallelcomp.api.policy.BudgetRequest;
import org.parallelcomp.api.policy.Parameter;
import org.parallelcomp.api.policy.Parameters;
import org.parallelcomp.api.policy.PolicyFactory;
import org.parallelcomp.api.policy.PolicyKind;

/**
 * Early layers keep more tokens, late ones fewer, in a straight line.
 *
 * <p>Another budget says how many tokens the layers keep on average. With mean m the last layer
 * keeps {@code m / beta} and the first {@code 2m - m / beta}, or as many as there are, in which
 * case the last keeps the more. The numbers are rounded so that the layers together keep exactly
 * what the other budget gives them.
 *
 * <p><i>Based on</i> PyramidKV, <a href="https://arxiv.org/abs/2406.02069">arXiv 2406.02069</a>.
 *
 * <p>Parameters: {@code beta} = 20; {@code budget} = fraction, the mean.
 *
 * <p><i>Differs from the paper in</i> having no window inside the budget, in being a pyramid for
 * any length, and in the exact sum.
 */
public final class PyramidBudget implements BudgetAllocator {
  /** Makes the policy {@code pyramid}. */
  public static final PolicyFactory<BudgetAllocator> FACTORY =
      new PolicyFactory<>(
          PolicyKind.BUDGET,
          "pyramid",
          "Early layers keep more tokens, late ones fewer; the mean is another budget's.",
          "In a straight line from 2m - m / beta to m / beta, rounded to the exact sum. Based on"
              + " PyramidKV (arXiv 2406.02069); differs in being a pyramid for any length.",
          List.of(
              Parameter.number(
                  "beta", 20, 1, 1e6, "", "mean over the tokens that the last layer keeps"),
              Parameter.policy("budget", PolicyKind.BUDGET, "fraction", "the mean of the layers")),
          PyramidBudget::new);

  private final double beta;
  private final BudgetAllocator budget;

  private PyramidBudget(Parameters parameters) {
    this.beta = parameters.number("beta");
    this.budget = parameters.policy("budget", BudgetAllocator.class);
  }

  @Override
  public int keptTokens(BudgetRequest request) {
    int mean = budget.keptTokens(request);
    int layers = request.layers();
    if (layers == 1 || mean == request.contextTokens()) {
      return mean;
    }
    double first = Math.min(request.contextTokens(), 2 * mean - mean / beta);
    double step = 2 * (first - mean) / (layers - 1);
    double[] line = new double[layers];
    for (int layer = 0; layer < layers; layer++) {
      line[layer] = first - layer * step;
    }
    return Shares.rounded(line)[request.layer()];
  }
}
