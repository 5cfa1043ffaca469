package org.parallelcomp.engine.generate;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.HashSet;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.parallelcomp.engine.Sampling;

/** Each step of sampling on logits whose probabilities are known. */
class SamplerTest {
  /** Probabilities 0.5, 0.25, 0.125, 0.0625, 0.0625. */
  private static float[] logits() {
    float ln2 = (float) Math.log(2);
    return new float[] {-ln2, -2 * ln2, -3 * ln2, -4 * ln2, -4 * ln2};
  }

  private static Set<Integer> drawn(Sampling sampling) {
    var sampler = new Sampler(sampling, new int[0]);
    var tokens = new HashSet<Integer>();
    for (int i = 0; i < 2000; i++) {
      tokens.add(sampler.next(logits()));
    }
    return tokens;
  }

  @Test
  void greedyTakesTheEarliestOfTheGreatest() {
    assertEquals(1, new Sampler(Sampling.GREEDY, new int[0]).next(new float[] {1, 3, 3, 2}));
  }

  @Test
  void topKKeepsTheMostLikely() {
    assertEquals(Set.of(0, 1), drawn(new Sampling(1, 1, 2, 1, 0, 7)));
  }

  @Test
  void topPKeepsTheFewestThatReachIt() {
    assertEquals(Set.of(0, 1), drawn(new Sampling(1, 1, 0, 0.75, 0, 7)));
    assertEquals(Set.of(0, 1, 2), drawn(new Sampling(1, 1, 0, 0.76, 0, 7)));
  }

  @Test
  void minPIsMeasuredAgainstTheGreatest() {
    assertEquals(Set.of(0, 1), drawn(new Sampling(1, 1, 0, 1, 0.4, 7)));
  }

  @Test
  void frequenciesFollowTheProbabilities() {
    var sampler = new Sampler(new Sampling(1, 1, 0, 1, 0, 42), new int[0]);
    int[] counts = new int[5];
    int draws = 40_000;
    for (int i = 0; i < draws; i++) {
      counts[sampler.next(logits())]++;
    }
    double[] expected = {0.5, 0.25, 0.125, 0.0625, 0.0625};
    for (int token = 0; token < 5; token++) {
      double deviation = Math.sqrt(expected[token] * (1 - expected[token]) / draws);
      assertEquals(expected[token], counts[token] / (double) draws, 5 * deviation, "seed 42");
    }
  }

  @Test
  void theSameSeedDrawsTheSame() {
    var one = new Sampler(new Sampling(1, 1, 0, 1, 0, 3), new int[0]);
    var same = new Sampler(new Sampling(1, 1, 0, 1, 0, 3), new int[0]);
    var other = new Sampler(new Sampling(1, 1, 0, 1, 0, 4), new int[0]);
    var first = new StringBuilder();
    var second = new StringBuilder();
    var third = new StringBuilder();
    for (int i = 0; i < 50; i++) {
      first.append(one.next(logits()));
      second.append(same.next(logits()));
      third.append(other.next(logits()));
    }
    assertEquals(first.toString(), second.toString());
    assertNotEquals(first.toString(), third.toString());
  }

  @Test
  void thePenaltyTurnsFromWhatWasSeen() {
    var sampler = new Sampler(new Sampling(2, 0, 0, 1, 0, 0), new int[] {0});
    assertEquals(1, sampler.next(new float[] {3, 2, 1}), "3 / 2 < 2");
    assertEquals(0, sampler.next(new float[] {3, 2, 1}), "3 / 2 > 2 / 2");
    assertTrue(new Sampler(Sampling.GREEDY, new int[] {0}).next(new float[] {3, 2, 1}) == 0);
  }
}
