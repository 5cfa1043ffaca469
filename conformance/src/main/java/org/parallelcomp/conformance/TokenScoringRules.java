package org.parallelcomp.conformance;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.ArrayList;
import java.util.EnumSet;
import java.util.Set;
import java.util.function.BiConsumer;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;
import org.parallelcomp.api.evidence.Evidence;
import org.parallelcomp.api.policy.PolicyKind;
import org.parallelcomp.api.policy.TokenScorer;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Shape;
import org.parallelcomp.api.tensor.Tensor;
import org.parallelcomp.conformance.SeededLayer.Numbers;
import org.parallelcomp.conformance.SeededLayer.Sizes;

abstract class TokenScoringRules extends PolicyRules {
  private Stream<DynamicTest> eachScorer(BiConsumer<TokenScorer, PolicyBench> rule) {
    return each(
        PolicyKind.TOKEN_SCORER,
        candidate -> {
          try (var bench = new PolicyBench()) {
            rule.accept((TokenScorer) candidate.create(), bench);
          }
        });
  }

  @TestFactory
  Stream<DynamicTest> required_P601_noEvidenceIsReadThatWasNotDeclared() {
    return eachScorer(
        (scorer, bench) -> {
          for (Sizes sizes : PolicyBench.SIZES) {
            scorer.score(
                bench.layer(sizes, Numbers.NORMAL, SEED, scorer.requires(), ANY_WINDOW),
                bench.ops());
          }
        });
  }

  @TestFactory
  Stream<DynamicTest> required_P602_evidenceThatWasDeclaredIsRead() {
    return eachScorer(
        (scorer, bench) -> {
          Set<Evidence> read = EnumSet.noneOf(Evidence.class);
          var all = new ArrayList<Sizes>(PolicyBench.SIZES);
          // Some look at long contexts only.
          all.add(new Sizes(1, 3, 2, 1, 4, 3, 600, 5));
          for (Sizes sizes : all) {
            if (!read.containsAll(scorer.requires())) {
              SeededLayer layer =
                  bench.layer(sizes, Numbers.NORMAL, SEED, ALL_EVIDENCE, ANY_WINDOW);
              scorer.score(layer, bench.ops());
              read.addAll(layer.read());
            }
          }
          Set<Evidence> unread = EnumSet.noneOf(Evidence.class);
          unread.addAll(scorer.requires());
          unread.removeAll(read);
          assertEquals(Set.of(), unread, "declared and never read");
        });
  }

  @TestFactory
  Stream<DynamicTest> required_P603_thereIsOneScoreForEachHeadAndToken() {
    return eachScorer(
        (scorer, bench) -> {
          for (Numbers numbers : Numbers.values()) {
            for (Sizes sizes : PolicyBench.SIZES) {
              SeededLayer layer = bench.layer(sizes, numbers, SEED, ALL_EVIDENCE, ANY_WINDOW);
              Tensor scores = scorer.score(layer, bench.ops());
              assertEquals(DType.F32, scores.dtype(), layer.toString());
              assertEquals(
                  Shape.of(sizes.kvHeads(), sizes.contextTokens()),
                  scores.shape(),
                  layer.toString());
            }
          }
        });
  }

  @TestFactory
  Stream<DynamicTest> required_P604_finiteEvidenceGivesFiniteScores() {
    return eachScorer(
        (scorer, bench) -> {
          for (Numbers numbers : EnumSet.of(Numbers.NORMAL, Numbers.COARSE, Numbers.EQUAL)) {
            for (Sizes sizes : PolicyBench.SIZES) {
              SeededLayer layer = bench.layer(sizes, numbers, SEED, ALL_EVIDENCE, ANY_WINDOW);
              float[] scores = bench.numbers(scorer.score(layer, bench.ops()));
              for (int i = 0; i < scores.length; i++) {
                if (!Float.isFinite(scores[i])) {
                  throw new AssertionError("score " + i + " is " + scores[i] + ", " + layer);
                }
              }
            }
          }
        });
  }

  @TestFactory
  Stream<DynamicTest> required_P605_noMoreOfTheLastTokensAreAskedThanTheWindowHolds() {
    return eachScorer(
        (scorer, bench) -> {
          for (Sizes sizes : PolicyBench.SIZES) {
            scorer.score(
                bench.layer(
                    sizes,
                    Numbers.NORMAL,
                    SEED,
                    ALL_EVIDENCE,
                    scorer.windowTokens(sizes.queryTokens())),
                bench.ops());
          }
        });
  }
}
