package org.parallelcomp.core.policies.select;

import java.math.BigDecimal;
import java.math.RoundingMode;
import java.util.List;
import org.parallelcomp.api.policy.BudgetAllocator;
import org.parallelcomp.api.policy.BudgetRequest;
import org.parallelcomp.api.policy.Parameter;
import org.parallelcomp.api.policy.PolicyFactory;
import org.parallelcomp.api.policy.PolicyKind;

/**
 * Each kv head keeps a fraction of a chunk's tokens.
 *
 * <p>The number is {@code floor(keep * contextTokens)} of the exact product, the fraction being the
 * decimal number as it was written: 0.7 of 10 tokens is 7. At least one token stays.
 *
 * <p><i>Based on</i> ParallelComp, <a href="https://arxiv.org/abs/2502.14317">arXiv 2502.14317</a>,
 * table 7, whose compression halves each chunk's cache.
 *
 * <p>Parameters: {@code keep} = 0.25 of the chunk's tokens.
 *
 * <p><i>Differs from the paper in</i> stating the fraction instead of a number for each model.
 */
public final class FractionBudget implements BudgetAllocator {
  /** Makes the policy {@code fraction}. */
  public static final PolicyFactory<BudgetAllocator> FACTORY =
      new PolicyFactory<>(
          PolicyKind.BUDGET,
          "fraction",
          "A fraction of each chunk's tokens, the same in every layer and kv head.",
          "The exact product, rounded down, but at least one token. Based on ParallelComp (arXiv"
              + " 2502.14317, table 7).",
          List.of(
              Parameter.number(
                  "keep", 0.25, 0, 1, "of the tokens", "fraction of a chunk that each head keeps")),
          p -> new FractionBudget(BigDecimal.valueOf(p.number("keep"))));

  private final BigDecimal keep;

  private FractionBudget(BigDecimal keep) {
    this.keep = keep;
  }

  @Override
  public int keptTokens(BudgetRequest request) {
    BigDecimal product = keep.multiply(BigDecimal.valueOf(request.contextTokens()));
    int floor = product.setScale(0, RoundingMode.FLOOR).intValueExact();
    return Math.min(request.contextTokens(), Math.max(1, floor));
  }
}
