package org.parallelcomp.conformance;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.function.BiConsumer;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;
import org.parallelcomp.api.cache.TokenSelection;
import org.parallelcomp.api.evidence.Evidence;
import org.parallelcomp.api.policy.CalibrationPolicy;
import org.parallelcomp.api.policy.PolicyKind;
import org.parallelcomp.conformance.SeededLayer.Numbers;
import org.parallelcomp.conformance.SeededLayer.Sizes;

abstract class CalibrationRules extends PolicyRules {
  /** One calibration of one layer, with what it may cut. */
  private record Trial(
      PolicyBench bench, CalibrationPolicy policy, Sizes sizes, TokenSelection current) {
    SeededLayer layer(Numbers numbers, Set<Evidence> declared, int windowTokens) {
      return bench.layer(sizes, numbers, SEED, declared, windowTokens);
    }

    int[][] calibrate(SeededLayer layer) {
      return bench.kept(policy.calibrate(layer, current, bench.ops()));
    }

    Set<Evidence> requires() {
      return policy.requires(sizes.layer(), sizes.layers());
    }

    @Override
    public String toString() {
      return sizes.toString();
    }
  }

  private Stream<DynamicTest> eachLayer(BiConsumer<CalibrationPolicy, Trial> rule) {
    return each(
        PolicyKind.CALIBRATION,
        candidate -> {
          var policy = (CalibrationPolicy) candidate.create();
          for (Sizes sizes : PolicyBench.SIZES) {
            int step = Math.max(1, sizes.layers() / 5);
            for (int layer = 0; layer < sizes.layers(); layer += step) {
              try (var bench = new PolicyBench()) {
                Sizes at = sizes.atLayer(layer);
                for (TokenSelection current : selections(bench, at)) {
                  rule.accept(policy, new Trial(bench, policy, at, current));
                }
              }
            }
          }
        });
  }

  /** All; in every head as many; in every head its own number; none. */
  private static List<TokenSelection> selections(PolicyBench bench, Sizes sizes) {
    int tokens = sizes.contextTokens();
    int heads = sizes.kvHeads();
    var random = new Random(SEED);
    var selections = new ArrayList<TokenSelection>();
    selections.add(TokenSelection.everything(heads, tokens));
    int[][] uniform = new int[heads][];
    int[][] ragged = new int[heads][];
    for (int h = 0; h < heads; h++) {
      uniform[h] = IntStream.range(0, tokens).filter(t -> t % 2 == 0).toArray();
      int oneIn = h + 2;
      ragged[h] = IntStream.range(0, tokens).filter(t -> random.nextInt(oneIn) == 0).toArray();
    }
    selections.add(bench.selection(tokens, uniform));
    selections.add(bench.selection(tokens, ragged));
    selections.add(bench.selection(tokens, new int[heads][0]));
    return selections;
  }

  @TestFactory
  Stream<DynamicTest> required_P801_theResultIsAPartOfTheSelection() {
    return eachLayer(
        (policy, trial) -> {
          List<List<Integer>> before = PolicyBench.lists(trial.bench.kept(trial.current));
          for (Numbers numbers : Numbers.values()) {
            int[][] kept = trial.calibrate(trial.layer(numbers, ALL_EVIDENCE, ANY_WINDOW));
            assertEquals(before.size(), kept.length, trial.toString());
            for (int h = 0; h < kept.length; h++) {
              int last = -1;
              for (int position : kept[h]) {
                assertTrue(position > last, () -> Decisions.text(kept) + " is not ascending");
                assertTrue(before.get(h).contains(position), () -> position + " is new, " + trial);
                last = position;
              }
            }
          }
        });
  }

  @TestFactory
  Stream<DynamicTest> required_P802_noEvidenceIsReadThatWasNotDeclaredForTheLayer() {
    return eachLayer(
        (policy, trial) ->
            trial.calibrate(trial.layer(Numbers.NORMAL, trial.requires(), ANY_WINDOW)));
  }

  @TestFactory
  Stream<DynamicTest> required_P803_withoutEvidenceNothingChanges() {
    return eachLayer(
        (policy, trial) -> {
          if (trial.requires().isEmpty()) {
            SeededLayer layer =
                trial.layer(Numbers.NORMAL, EnumSet.allOf(Evidence.class), ANY_WINDOW);
            assertEquals(
                PolicyBench.lists(trial.bench.kept(trial.current)),
                PolicyBench.lists(trial.calibrate(layer)),
                trial.toString());
          }
        });
  }

  @TestFactory
  Stream<DynamicTest> required_P804_noMoreOfTheLastTokensAreAskedThanTheWindowHolds() {
    return eachLayer(
        (policy, trial) ->
            trial.calibrate(
                trial.layer(
                    Numbers.NORMAL, ALL_EVIDENCE, policy.windowTokens(trial.sizes.queryTokens()))));
  }
}
