package org.parallelcomp.conformance;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.BiPredicate;
import java.util.function.ToDoubleFunction;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;
import org.parallelcomp.api.cache.TokenSelection;
import org.parallelcomp.api.policy.PolicyKind;
import org.parallelcomp.api.policy.Selector;
import org.parallelcomp.conformance.SeededLayer.Numbers;
import org.parallelcomp.conformance.SeededLayer.Sizes;

abstract class SelectionRules extends PolicyRules {
  private static final List<Sizes> RANKED_SIZES = PolicyBench.SIZES.subList(2, 5);

  /** One selector at work on one layer. */
  private record Trial(PolicyBench bench, Selector selector, Sizes sizes, Numbers evidence) {
    TokenSelection select(int keptTokens, float[] scores) {
      return Decisions.select(
          selector,
          bench.layer(sizes, evidence, SEED, ALL_EVIDENCE, ANY_WINDOW),
          bench.floats(scores, sizes.kvHeads(), sizes.contextTokens()),
          keptTokens,
          bench.ops());
    }

    /** Returns the kept positions of each head. */
    List<Set<Integer>> kept(int keptTokens, float[] scores) {
      var kept = new ArrayList<Set<Integer>>();
      for (int[] head : bench.kept(select(keptTokens, scores))) {
        kept.add(new TreeSet<>(Arrays.stream(head).boxed().toList()));
      }
      return kept;
    }

    float[] numbers(Random random, ToDoubleFunction<Random> next) {
      float[] numbers = new float[sizes.kvHeads() * sizes.contextTokens()];
      for (int i = 0; i < numbers.length; i++) {
        numbers[i] = (float) next.applyAsDouble(random);
      }
      return numbers;
    }

    float[] distinct(long seed) {
      return numbers(new Random(seed), Random::nextGaussian);
    }

    /**
     * Returns the tokens of each head that stay whatever their scores: those that are kept by some
     * scores and by the opposite ones. For budgets of at most half of the tokens.
     */
    List<Set<Integer>> protectedTokens(int keptTokens) {
      List<Set<Integer>> protectedTokens = null;
      for (int round = 0; round < 2; round++) {
        float[] scores = distinct(SEED + 31 * round);
        float[] opposite = new float[scores.length];
        for (int i = 0; i < scores.length; i++) {
          opposite[i] = -scores[i];
        }
        for (float[] either : List.of(scores, opposite)) {
          List<Set<Integer>> kept = kept(keptTokens, either);
          if (protectedTokens == null) {
            protectedTokens = kept;
          }
          for (int h = 0; h < kept.size(); h++) {
            protectedTokens.get(h).retainAll(kept.get(h));
          }
        }
      }
      return protectedTokens;
    }

    @Override
    public String toString() {
      return evidence + " " + sizes;
    }
  }

  @FunctionalInterface
  private interface Rule {
    void check(Trial trial, int keptTokens);
  }

  private Stream<DynamicTest> eachBudget(Numbers evidence, Rule rule) {
    return each(
        PolicyKind.SELECTOR,
        candidate -> {
          var selector = (Selector) candidate.create();
          for (Sizes sizes : PolicyBench.SIZES) {
            int tokens = sizes.contextTokens();
            for (int kept : new TreeSet<>(List.of(0, 1, tokens / 3, tokens - 1))) {
              if (kept >= 0 && kept < tokens) {
                try (var bench = new PolicyBench()) {
                  rule.check(new Trial(bench, selector, sizes, evidence), kept);
                }
              }
            }
          }
        });
  }

  /**
   * Tries selectors that rank tokens one by one, as scores show of which no two are equal, at
   * budgets at which it can be seen what is protected. Those that keep runs of tokens together, or
   * bring scores of their own, need not follow the rules of rank.
   */
  private Stream<DynamicTest> eachRanking(Rule rule) {
    return each(
        PolicyKind.SELECTOR,
        candidate -> {
          var selector = (Selector) candidate.create();
          if (RANKED_SIZES.stream().allMatch(sizes -> ranksTokens(selector, sizes))) {
            for (Sizes sizes : RANKED_SIZES) {
              for (int kept : new int[] {sizes.contextTokens() / 4, sizes.contextTokens() / 3}) {
                try (var bench = new PolicyBench()) {
                  rule.check(new Trial(bench, selector, sizes, Numbers.EQUAL), kept);
                }
              }
            }
          }
        });
  }

  private static boolean ranksTokens(Selector selector, Sizes sizes) {
    try (var bench = new PolicyBench()) {
      var trial = new Trial(bench, selector, sizes, Numbers.EQUAL);
      int budget = sizes.contextTokens() / 3;
      List<Set<Integer>> stay = trial.protectedTokens(budget);
      if (stay.stream().anyMatch(head -> head.size() >= budget)) {
        return false;
      }
      for (int round = 1; round <= 3; round++) {
        float[] scores = trial.distinct(SEED + 7 * round);
        if (firstFault(trial, budget, stay, scores, (a, b) -> a.score > b.score) != null) {
          return false;
        }
      }
      return true;
    }
  }

  private static List<float[]> anyScores(Trial trial) {
    var random = new Random(SEED);
    return List.of(
        trial.distinct(SEED),
        trial.numbers(random, r -> r.nextInt(3)),
        trial.numbers(random, r -> 0),
        trial.numbers(random, r -> r.nextInt(4) == 0 ? Double.NaN : r.nextInt(3)),
        trial.numbers(random, r -> Double.NaN),
        trial.numbers(random, r -> r.nextInt(4) == 0 ? 1 / 0.0 : -1 / 0.0));
  }

  @TestFactory
  Stream<DynamicTest> required_P701_exactlyTheBudgetIsKept() {
    return eachBudget(
        Numbers.NORMAL,
        (trial, kept) -> {
          for (float[] scores : anyScores(trial)) {
            TokenSelection selection = trial.select(kept, scores);
            assertEquals(trial.sizes.contextTokens(), selection.tokens(), trial.toString());
            assertEquals(trial.sizes.kvHeads(), selection.kvHeads(), trial.toString());
            assertEquals(
                kept * trial.sizes.kvHeads(),
                Arrays.stream(selection.keptTokens()).sum(),
                trial + " at a budget of " + kept);
          }
        });
  }

  @TestFactory
  Stream<DynamicTest> required_P702_positionsAreAscendingUniqueAndInRange() {
    return eachBudget(
        Numbers.NORMAL,
        (trial, kept) -> {
          for (float[] scores : anyScores(trial)) {
            int[][] positions = trial.bench.kept(trial.select(kept, scores));
            for (int[] head : positions) {
              int before = -1;
              for (int position : head) {
                assertTrue(
                    position > before && position < trial.sizes.contextTokens(),
                    () -> Decisions.text(positions) + ", " + trial);
                before = position;
              }
            }
          }
        });
  }

  @TestFactory
  Stream<DynamicTest> required_P703_aBudgetOfEverythingKeepsEverything() {
    return each(
        PolicyKind.SELECTOR,
        candidate -> {
          var selector = (Selector) candidate.create();
          for (Sizes sizes : PolicyBench.SIZES) {
            try (var bench = new PolicyBench()) {
              var trial = new Trial(bench, selector, sizes, Numbers.NORMAL);
              for (float[] scores : anyScores(trial)) {
                TokenSelection selection = trial.select(sizes.contextTokens(), scores);
                assertTrue(selection.keepsEverything(), trial.toString());
                int[] all = IntStream.range(0, sizes.contextTokens()).toArray();
                for (int[] head : bench.kept(selection)) {
                  assertEquals(
                      PolicyBench.lists(new int[][] {all}), PolicyBench.lists(new int[][] {head}));
                }
              }
            }
          }
        });
  }

  /** Asserts that no token of a head was kept for one that goes before it. */
  private static void assertOrder(
      Trial trial, int budget, float[] scores, BiPredicate<Rank, Rank> before) {
    String fault = firstFault(trial, budget, trial.protectedTokens(budget), scores, before);
    assertTrue(fault == null, fault);
  }

  private static @Nullable String firstFault(
      Trial trial,
      int budget,
      List<Set<Integer>> stay,
      float[] scores,
      BiPredicate<Rank, Rank> before) {
    List<Set<Integer>> kept = trial.kept(budget, scores);
    int tokens = trial.sizes.contextTokens();
    for (int h = 0; h < kept.size(); h++) {
      for (int in : kept.get(h)) {
        for (int out = 0; out < tokens && !stay.get(h).contains(in); out++) {
          if (!kept.get(h).contains(out)) {
            var rankIn = new Rank(in, scores[h * tokens + in]);
            var rankOut = new Rank(out, scores[h * tokens + out]);
            if (before.test(rankOut, rankIn)) {
              return rankIn + " was kept and " + rankOut + " not, " + budget + " of " + trial;
            }
          }
        }
      }
    }
    return null;
  }

  private record Rank(int position, float score) {}

  @TestFactory
  Stream<DynamicTest> required_P704_ofEqualScoresTheEarlierStays() {
    return eachRanking(
        (trial, budget) -> {
          for (int values : new int[] {1, 3}) {
            float[] scores = trial.numbers(new Random(SEED), r -> r.nextInt(values));
            assertOrder(
                trial, budget, scores, (a, b) -> a.score == b.score && a.position < b.position);
          }
        });
  }

  @TestFactory
  Stream<DynamicTest> required_P705_protectedTokensStayWhateverTheScores() {
    return eachRanking(
        (trial, budget) -> {
          List<Set<Integer>> stay = trial.protectedTokens(budget);
          int tokens = trial.sizes.contextTokens();
          for (double own : new double[] {Double.NaN, -1 / 0.0, -Float.MAX_VALUE, 0}) {
            for (double others : new double[] {Double.NaN, Float.MAX_VALUE, 1 / 0.0, 0}) {
              float[] scores = new float[stay.size() * tokens];
              for (int i = 0; i < scores.length; i++) {
                scores[i] = (float) (stay.get(i / tokens).contains(i % tokens) ? own : others);
              }
              List<Set<Integer>> kept = trial.kept(budget, scores);
              for (int h = 0; h < stay.size(); h++) {
                assertTrue(
                    kept.get(h).containsAll(stay.get(h)),
                    "head " + h + " keeps " + kept.get(h) + ", protected " + stay.get(h));
              }
            }
          }
        });
  }

  @TestFactory
  Stream<DynamicTest> required_P706_whatIsNoNumberRanksLowest() {
    return eachRanking(
        (trial, budget) -> {
          float[] scores =
              trial.numbers(
                  new Random(SEED), r -> r.nextInt(2) == 0 ? Double.NaN : -1 - r.nextInt(3));
          assertOrder(
              trial, budget, scores, (a, b) -> !Float.isNaN(a.score) && Float.isNaN(b.score));
        });
  }

  @TestFactory
  Stream<DynamicTest> required_P707_noEvidenceIsReadThatWasNotDeclared() {
    return each(
        PolicyKind.SELECTOR,
        candidate -> {
          var selector = (Selector) candidate.create();
          for (Sizes sizes : PolicyBench.SIZES) {
            try (var bench = new PolicyBench()) {
              int window = selector.windowTokens(sizes.queryTokens());
              Decisions.select(
                  selector,
                  bench.layer(sizes, Numbers.NORMAL, SEED, selector.requires(), window),
                  Decisions.scores(bench, sizes, SEED),
                  sizes.contextTokens() / 2,
                  bench.ops());
            }
          }
        });
  }
}
