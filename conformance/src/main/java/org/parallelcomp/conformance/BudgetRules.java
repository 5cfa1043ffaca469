package org.parallelcomp.conformance;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;
import org.parallelcomp.api.policy.BudgetAllocator;
import org.parallelcomp.api.policy.BudgetRequest;
import org.parallelcomp.api.policy.PolicyKind;

abstract class BudgetRules extends PolicyRules {
  private static final int[] TOKENS = {1, 2, 3, 7, 13, 64, 207, 512, 1025, 4098, 100_000};
  private static final int[] LAYERS = {1, 2, 7, 32};

  private static BudgetRequest request(int layer, int layers, int tokens, int chunks) {
    return new BudgetRequest(layer, layers, 4, tokens, 512, chunks);
  }

  @TestFactory
  Stream<DynamicTest> required_P501_budgetsLieBetweenNothingAndTheContext() {
    return each(
        PolicyKind.BUDGET,
        candidate -> {
          var budget = (BudgetAllocator) candidate.create();
          for (int layers : LAYERS) {
            for (int layer = 0; layer < layers; layer++) {
              for (int tokens : TOKENS) {
                for (int chunks : new int[] {1, 3}) {
                  BudgetRequest request = request(layer, layers, tokens, chunks);
                  if (Decisions.kept(budget, request) instanceof Integer kept) {
                    assertTrue(kept >= 0 && kept <= tokens, kept + " for " + request);
                  }
                }
              }
            }
          }
        });
  }

  @TestFactory
  Stream<DynamicTest> required_P502_moreTokensNeverMeanFewerKeptInAll() {
    return each(
        PolicyKind.BUDGET,
        candidate -> {
          var budget = (BudgetAllocator) candidate.create();
          for (int layers : LAYERS) {
            int before = 0;
            for (int tokens = 1; tokens <= 600; tokens++) {
              int all = 0;
              for (int layer = 0; layer < layers; layer++) {
                Object kept = Decisions.kept(budget, request(layer, layers, tokens, 1));
                all += kept instanceof Integer number ? number : 0;
              }
              assertTrue(
                  all >= before, all + " after " + before + ", " + layers + " layers of " + tokens);
              before = all;
            }
          }
        });
  }
}
