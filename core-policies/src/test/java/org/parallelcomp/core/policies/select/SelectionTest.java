package org.parallelcomp.core.policies.select;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.Comparator;
import java.util.Map;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.parallelcomp.api.backend.MemoryScope;
import org.parallelcomp.api.backend.TensorOps;
import org.parallelcomp.api.cache.TokenSelection;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.policy.BudgetAllocator;
import org.parallelcomp.api.policy.BudgetRequest;
import org.parallelcomp.api.policy.Selector;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Shape;
import org.parallelcomp.api.tensor.Tensor;
import org.parallelcomp.conformance.reference.ReferenceBackend;
import org.parallelcomp.core.policies.ObservedLayer;

class SelectionTest {
  private static final int HEADS = 3;

  private final ReferenceBackend backend = new ReferenceBackend();
  private final MemoryScope scope = backend.openScope("test");
  private final TensorOps ops = backend.tensorOps(scope);

  @AfterEach
  void close() {
    backend.close();
  }

  private Tensor scores(float[] numbers, int tokens) {
    Tensor scores = scope.allocate(DType.F32, Shape.of(HEADS, tokens));
    backend.host().copyFromHost(scores, numbers);
    return scores;
  }

  /** Scores with plateaus, a head that is constant, NaN and both infinities. */
  private static float[] numbers(Random random, int tokens) {
    float[] numbers = new float[HEADS * tokens];
    for (int i = 0; i < numbers.length; i++) {
      int dice = random.nextInt(12);
      numbers[i] =
          i / tokens == 1
              ? 0.5f
              : switch (dice) {
                case 0 -> Float.NaN;
                case 1 -> Float.POSITIVE_INFINITY;
                case 2 -> Float.NEGATIVE_INFINITY;
                default -> random.nextInt(5) - 2;
              };
    }
    return numbers;
  }

  /** What a sort of the positions gives: protected first, then by score, NaN last, then earlier. */
  private static int[] sorted(
      float[] numbers, int head, int tokens, int kept, int sinks, int recent) {
    int keptSinks = Math.min(sinks, kept);
    int keptRecent = Math.min(recent, kept - keptSinks);
    return IntStream.range(0, tokens)
        .boxed()
        .sorted(
            Comparator.comparing((Integer j) -> !(j < keptSinks || j >= tokens - keptRecent))
                .thenComparing(j -> Float.isNaN(numbers[head * tokens + j]))
                .thenComparing(j -> -numbers[head * tokens + j] + 0f)
                .thenComparing(j -> j))
        .limit(kept)
        .sorted()
        .mapToInt(j -> j)
        .toArray();
  }

  @Test
  void topKKeepsExactlyTheBestWithTiesByPositionAndNanLowest() {
    assertSelections(0, 0);
  }

  @Test
  void protectedTokensSurviveTiesNanAndInfinity() {
    assertSelections(4, 6);
    assertSelections(0, 9);
    assertSelections(3, 0);
  }

  private void assertSelections(int sinks, int recent) {
    Selector selector = TopK.FACTORY.create(Map.of("sinks", "" + sinks, "recent", "" + recent));
    for (int seed = 0; seed < 60; seed++) {
      var random = new Random(seed);
      int tokens = 10 + random.nextInt(70);
      int kept = random.nextInt(tokens);
      float[] numbers = numbers(random, tokens);
      TokenSelection selection = selector.select(scores(numbers, tokens), kept, layer(tokens), ops);
      assertEquals(tokens, selection.tokens());
      int[] indices = backend.host().copyToHostInts(selection.indices().orElseThrow());
      for (int h = 0; h < HEADS; h++) {
        assertEquals(kept, selection.keptTokens(h), "seed " + seed);
        assertArrayEquals(
            sorted(numbers, h, tokens, kept, sinks, recent),
            Arrays.copyOfRange(indices, h * kept, (h + 1) * kept),
            "seed " + seed + ", sinks " + sinks + ", recent " + recent + ", head " + h);
      }
    }
  }

  @Test
  void aBudgetOfEverythingIsTheIdentity() {
    TokenSelection selection =
        TopK.FACTORY.create(Map.of()).select(scores(new float[HEADS * 8], 8), 8, layer(8), ops);
    assertTrue(selection.keepsEverything());
    assertTrue(selection.indices().isEmpty());
  }

  private ObservedLayer layer(int tokens) {
    return ObservedLayer.blank(backend, scope, HEADS, tokens);
  }

  private static BudgetRequest request(int contextTokens) {
    return new BudgetRequest(5, 12, HEADS, contextTokens, 256, 2);
  }

  @Test
  void everythingIsTheContext() {
    assertEquals(77, EverythingBudget.FACTORY.create(Map.of()).keptTokens(request(77)));
  }

  @Test
  void tokensAreTheNumberOrTheContext() {
    BudgetAllocator budget = TokenBudget.FACTORY.create(Map.of("keep", "96"));
    assertEquals(96, budget.keptTokens(request(97)));
    assertEquals(96, budget.keptTokens(request(96)));
    assertEquals(95, budget.keptTokens(request(95)));
  }

  @Test
  void aFractionIsTheExactProductRoundedDownButAtLeastOne() {
    // In binary floating point 0.29 * 100 is 28.999999999999996 and 0.7 * 10 is 7 by luck.
    assertEquals(29, fraction("0.29", 100));
    assertEquals(57, fraction("0.57", 100));
    assertEquals(7, fraction("0.7", 10));
    assertEquals(6, fraction("0.7", 9));
    assertEquals(1, fraction("0.01", 9));
    assertEquals(1, fraction("0", 9));
    assertEquals(9, fraction("1", 9));
    assertEquals(0, fraction("1", 0));
    for (int percent = 1; percent <= 100; percent++) {
      for (int tokens = 1; tokens <= 300; tokens++) {
        assertEquals(
            Math.max(1, percent * tokens / 100),
            fraction(Double.toString(percent / 100.0), tokens),
            percent + " % of " + tokens);
      }
    }
  }

  private static int fraction(String keep, int tokens) {
    return FractionBudget.FACTORY.create(Map.of("keep", keep)).keptTokens(request(tokens));
  }

  @Test
  void bytesAreNeverExceededOverLayersHeadsAndChunks() {
    long perToken = 12L * HEADS * 256 * 2;
    assertEquals(40, bytes(40 * perToken, 100));
    assertEquals(39, bytes(40 * perToken - 1, 100));
    assertEquals(30, bytes(40 * perToken, 30));
    InferenceException refused =
        assertThrows(InferenceException.class, () -> bytes(perToken - 1, 100));
    assertEquals(ErrorCode.INVALID_ARGUMENT, refused.code());
    assertTrue(refused.getMessage().contains("" + perToken), refused.getMessage());
  }

  private static int bytes(long keep, int tokens) {
    return ByteBudget.FACTORY.create(Map.of("keep", "" + keep)).keptTokens(request(tokens));
  }
}
