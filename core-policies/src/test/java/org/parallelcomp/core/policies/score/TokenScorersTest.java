package org.parallelcomp.core.policies.score;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.parallelcomp.api.backend.MemoryScope;
import org.parallelcomp.api.backend.TensorOps;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.evidence.Evidence;
import org.parallelcomp.api.evidence.HeadReduction;
import org.parallelcomp.api.policy.TokenScorer;
import org.parallelcomp.api.tensor.Shape;
import org.parallelcomp.api.tensor.Tensor;
import org.parallelcomp.conformance.reference.ReferenceBackend;
import org.parallelcomp.core.policies.ObservedLayer;

class TokenScorersTest {
  private static final int KV_HEADS = 3;
  private static final int QUERY_TOKENS = 12;

  private final ReferenceBackend backend = new ReferenceBackend();
  private final MemoryScope scope = backend.openScope("test");
  private final TensorOps ops = backend.tensorOps(scope);

  @AfterEach
  void close() {
    backend.close();
  }

  private ObservedLayer layer(int seed, int tokens, int prefixTokens) {
    var random = new Random(seed);
    double[][][] keys = new double[KV_HEADS][tokens][5];
    for (double[][] head : keys) {
      for (double[] key : head) {
        for (int d = 0; d < key.length; d++) {
          key[d] = d == 2 ? 1 : random.nextGaussian() * (random.nextInt(30) == 0 ? 100 : 1);
        }
      }
    }
    return new ObservedLayer(
        backend,
        scope,
        0,
        1,
        prefixTokens,
        KV_HEADS,
        ObservedLayer.attention(random, 2 * KV_HEADS, QUERY_TOKENS, tokens),
        keys);
  }

  private void assertScores(double[][] expected, Tensor scores, String message) {
    assertEquals(Shape.of(expected.length, expected[0].length), scores.shape(), message);
    float[] actual = backend.host().copyToHostFloats(scores);
    for (int i = 0; i < actual.length; i++) {
      double want = expected[i / expected[0].length][i % expected[0].length];
      assertEquals(want, actual[i], 1e-6 * Math.max(1, Math.abs(want)), message + " element " + i);
    }
  }

  private static double[][] pooled(double[][] mass, int pool, boolean average) {
    double[][] out = new double[mass.length][mass[0].length];
    for (int h = 0; h < mass.length; h++) {
      for (int j = 0; j < mass[h].length; j++) {
        double max = Double.NEGATIVE_INFINITY;
        double sum = 0;
        for (int i = Math.max(0, j - pool / 2);
            i <= Math.min(mass[h].length - 1, j + pool / 2);
            i++) {
          max = Math.max(max, mass[h][i]);
          sum += mass[h][i];
        }
        out[h][j] = average ? sum / pool : max;
      }
    }
    return out;
  }

  @Test
  void windowAttentionIsThePooledMassOfTheLastQueries() {
    for (int tokens : new int[] {1, 7, 64, 207}) {
      ObservedLayer layer = layer(tokens, tokens, 4);
      String message = "seed and tokens " + tokens;
      TokenScorer byDefault = WindowAttention.FACTORY.create(Map.of());
      assertEquals(Set.of(Evidence.ATTENTION_MASS), byDefault.requires());
      double[][] last8 = layer.mass(8, HeadReduction.MEAN);
      assertScores(pooled(last8, 21, false), byDefault.score(layer, ops), message);
      assertScores(
          pooled(layer.mass(0, HeadReduction.MEAN), 7, true),
          WindowAttention.FACTORY
              .create(Map.of("window", "0", "pool", "7", "pooling", "average"))
              .score(layer, ops),
          message);
      assertScores(
          layer.mass(3, HeadReduction.MEAN),
          WindowAttention.FACTORY
              .create(Map.of("window", "3", "pooling", "none"))
              .score(layer, ops),
          message);
    }
  }

  @Test
  void snapKvAveragesOverFiveAndTakesNoMoreQueriesThanStandBehindTheContext() {
    ObservedLayer layer = layer(1, 100, 4);
    assertScores(
        pooled(layer.mass(QUERY_TOKENS, HeadReduction.MEAN), 5, true),
        SnapKv.FACTORY.create(Map.of()).score(layer, ops),
        "seed 1");
  }

  @Test
  void anEvenPoolIsRefused() {
    InferenceException refused =
        assertThrows(
            InferenceException.class, () -> WindowAttention.FACTORY.create(Map.of("pool", "6")));
    assertEquals(ErrorCode.INVALID_ARGUMENT, refused.code());
    assertTrue(refused.getMessage().contains("pool must be odd"), refused.getMessage());
  }

  @Test
  void anyBudgetOfStreamingLlmKeepsSinksAndTheMostRecent() {
    int tokens = 50;
    for (int prefixTokens : new int[] {0, 3, 9}) {
      Tensor scores =
          SinksAndRecent.FACTORY.create(Map.of()).score(layer(2, tokens, prefixTokens), ops);
      int sinks = Math.max(0, 4 - prefixTokens);
      for (int budget = 0; budget <= tokens; budget++) {
        int recent = Math.max(0, budget - sinks);
        int[] expected =
            IntStream.concat(
                    IntStream.range(0, Math.min(sinks, budget)),
                    IntStream.range(tokens - recent, tokens))
                .distinct()
                .toArray();
        int[] kept = backend.host().copyToHostInts(ops.topK(scores, budget));
        for (int h = 0; h < KV_HEADS; h++) {
          int[] ofHead = Arrays.copyOfRange(kept, h * budget, (h + 1) * budget);
          assertArrayEquals(expected, ofHead, "prefix " + prefixTokens + ", budget " + budget);
        }
      }
    }
  }

  @Test
  void keyNormPrefersShortKeys() {
    ObservedLayer layer = layer(3, 40, 0);
    double[][] expected = new double[KV_HEADS][40];
    for (int h = 0; h < KV_HEADS; h++) {
      for (int j = 0; j < 40; j++) {
        double squares = 0;
        for (double number : layer.keyNumbers()[h][j]) {
          squares += (double) (float) number * (float) number;
        }
        expected[h][j] = -Math.sqrt(squares);
      }
    }
    assertScores(expected, KeyNorm.FACTORY.create(Map.of()).score(layer, ops), "seed 3");
  }

  @Test
  void constantScoreAsksForNothing() {
    TokenScorer scorer = ConstantTokenScore.FACTORY.create(Map.of());
    assertEquals(Set.of(), scorer.requires());
    assertScores(new double[KV_HEADS][9], scorer.score(layer(4, 9, 0), ops), "constant");
  }

  @Test
  void askingTwiceGivesTheSame() {
    ObservedLayer layer = layer(5, 64, 4);
    TokenScorer scorer = WindowAttention.FACTORY.create(Map.of());
    float[] first = backend.host().copyToHostFloats(scorer.score(layer, ops));
    scorer.score(layer(6, 13, 2), ops);
    assertArrayEquals(first, backend.host().copyToHostFloats(scorer.score(layer, ops)));
  }
}
