package org.parallelcomp.core.policies;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;
import org.parallelcomp.api.backend.MemoryScope;
import org.parallelcomp.api.backend.TensorOps;
import org.parallelcomp.api.cache.TokenSelection;
import org.parallelcomp.api.policy.BudgetAllocator;
import org.parallelcomp.api.policy.BudgetRequest;
import org.parallelcomp.api.policy.PolicyFactory;
import org.parallelcomp.api.policy.PolicyKind;
import org.parallelcomp.api.policy.Selector;
import org.parallelcomp.api.policy.TokenScorer;
import org.parallelcomp.api.tensor.Shape;
import org.parallelcomp.api.tensor.Tensor;
import org.parallelcomp.conformance.reference.ReferenceBackend;
import org.parallelcomp.core.policies.score.Protected;

/** What every scorer, selector and budget of the library promises. */
class PolicyLawsTest {
  private final ReferenceBackend backend = new ReferenceBackend();
  private final MemoryScope scope = backend.openScope("test");
  private final TensorOps ops = backend.tensorOps(scope);

  @AfterEach
  void close() {
    backend.close();
  }

  private static Stream<PolicyFactory<?>> all(PolicyKind kind) {
    return new CorePolicies().policies().stream().filter(f -> f.kind() == kind);
  }

  private PlainPass pass(Random random) {
    int[][] shapes = {{8, 2, 16}, {4, 4, 8}, {7, 1, 8}};
    int[] shape = shapes[random.nextInt(3)];
    return PlainPass.random(
        backend,
        scope,
        random.nextInt(1000),
        shape[0],
        shape[1],
        shape[2],
        random.nextInt(4),
        20 + random.nextInt(60),
        random.nextInt(10));
  }

  /** Scores with plateaus, NaN, infinities and, if wanted, protected tokens. */
  private Tensor scores(Random random, PlainPass pass, int sinks, int recent) {
    float[] numbers = new float[pass.kvHeads() * pass.contextTokens()];
    for (int i = 0; i < numbers.length; i++) {
      int dice = random.nextInt(14);
      numbers[i] =
          dice == 0
              ? Float.NaN
              : dice == 1
                  ? Float.NEGATIVE_INFINITY
                  : dice == 2 ? Float.POSITIVE_INFINITY : random.nextInt(6) - 3;
    }
    Tensor plain = ops.constant(Shape.of(pass.kvHeads(), pass.contextTokens()), numbers);
    return Protected.tokens(plain, sinks, recent, ops);
  }

  private int[][] positions(TokenSelection selection) {
    int[][] heads = new int[selection.kvHeads()][];
    int[] indices =
        selection.indices().map(backend.host()::copyToHostInts).orElseGet(() -> new int[0]);
    int next = 0;
    for (int h = 0; h < heads.length; h++) {
      heads[h] =
          selection.indices().isEmpty()
              ? IntStream.range(0, selection.tokens()).toArray()
              : Arrays.copyOfRange(indices, next, next + selection.keptTokens(h));
      next += heads[h].length;
    }
    return heads;
  }

  private void assertLawful(TokenSelection selection, int kept, int tokens, String about) {
    int total = 0;
    for (int[] head : positions(selection)) {
      total += head.length;
      for (int i = 0; i < head.length; i++) {
        assertTrue(head[i] >= 0 && head[i] < tokens, about + ": in range");
        assertTrue(i == 0 || head[i] > head[i - 1], about + ": ascending and unique");
      }
    }
    assertEquals(kept * selection.kvHeads(), total, about + ": exactly the budget");
    assertEquals(tokens, selection.tokens(), about);
  }

  @TestFactory
  Stream<DynamicTest> selectorsKeepExactlyTheBudgetInOrder() {
    return all(PolicyKind.SELECTOR)
        .map(factory -> DynamicTest.dynamicTest(factory.name(), () -> assertSelector(factory)));
  }

  private void assertSelector(PolicyFactory<?> factory) {
    for (int seed = 0; seed < 12; seed++) {
      var random = new Random(seed);
      PlainPass pass = pass(random);
      int tokens = pass.contextTokens();
      int kept = seed == 0 ? 0 : random.nextInt(tokens);
      String about = factory.name() + " seed " + seed + ", " + kept + " of " + tokens;
      var selector = (Selector) factory.create(Map.of(), Named.LOOKUP);
      Tensor scores = scores(random, pass, 0, 0);
      TokenSelection selection = selector.select(scores, kept, pass, ops);
      assertLawful(selection, kept, tokens, about);
      selector.select(scores(random, pass, 2, 2), tokens / 2, pass, ops);
      assertTrue(
          Arrays.deepEquals(
              positions(selection), positions(selector.select(scores, kept, pass, ops))),
          about + ": no state between calls");
      assertTrue(
          selector.select(scores, tokens, pass, ops).keepsEverything(),
          about + ": a budget of everything is the identity");
    }
  }

  /** Selectors that bring their own scorers do not look at the given scores. */
  private static final Set<String> OWN_SCORES = Set.of("block-wise", "composed");

  @TestFactory
  Stream<DynamicTest> protectedTokensSurviveEverySelector() {
    return all(PolicyKind.SELECTOR)
        .filter(factory -> !OWN_SCORES.contains(factory.name()))
        .map(factory -> DynamicTest.dynamicTest(factory.name(), () -> assertProtected(factory)));
  }

  private void assertProtected(PolicyFactory<?> factory) {
    for (int seed = 0; seed < 12; seed++) {
      var random = new Random(seed);
      PlainPass pass = pass(random);
      pass.valueNumbers()[0][pass.prefixTokens()][0] = Double.NaN;
      int tokens = pass.contextTokens();
      int sinks = random.nextInt(4);
      int recent = random.nextInt(6);
      int kept = Math.min(tokens - 1, 12 + random.nextInt(tokens - 12));
      Map<String, String> parameters =
          factory.name().equals("protected") ? Map.of("recent", "2", "sinks", "0") : Map.of();
      var selector = (Selector) factory.create(parameters, Named.LOOKUP);
      TokenSelection selection =
          selector.select(scores(random, pass, sinks, recent), kept, pass, ops);
      for (int[] head : positions(selection)) {
        String about = factory.name() + " seed " + seed + " keeps " + Arrays.toString(head);
        var stays = Arrays.stream(head).boxed().toList();
        for (int j = 0; j < sinks; j++) {
          assertTrue(stays.contains(j), about);
        }
        for (int j = tokens - recent; j < tokens; j++) {
          assertTrue(stays.contains(j), about);
        }
      }
    }
  }

  @TestFactory
  Stream<DynamicTest> scorersScoreEveryTokenOfEveryHeadTheSameTwice() {
    return all(PolicyKind.TOKEN_SCORER)
        .map(factory -> DynamicTest.dynamicTest(factory.name(), () -> assertScorer(factory)));
  }

  private void assertScorer(PolicyFactory<?> factory) {
    var scorer = (TokenScorer) factory.create(Map.of(), Named.LOOKUP);
    for (int seed = 0; seed < 6; seed++) {
      var random = new Random(seed);
      PlainPass pass = pass(random);
      if (seed % 2 == 1) {
        pass.valueNumbers()[0][pass.prefixTokens() + 5][3] = Double.NaN;
        pass.keyNumbers()[0][pass.prefixTokens() + 7][2] = Double.NaN;
      }
      String about = factory.name() + " seed " + seed;
      Tensor scores = scorer.score(pass, ops);
      assertEquals(Shape.of(pass.kvHeads(), pass.contextTokens()), scores.shape(), about);
      float[] first = backend.host().copyToHostFloats(scores);
      scorer.score(pass(random), ops);
      assertArrayEquals(first, backend.host().copyToHostFloats(scorer.score(pass, ops)), about);
      int kept = pass.contextTokens() / 3;
      TokenSelection selection =
          Named.policy(Selector.class, "top-k").select(scores, kept, pass, ops);
      assertLawful(selection, kept, pass.contextTokens(), about + " with NaN");
      assertTrue(scorer.windowTokens(pass.queryTokens()) >= 0, about);
    }
  }

  @TestFactory
  Stream<DynamicTest> budgetsAreBetweenNothingAndEverything() {
    return all(PolicyKind.BUDGET)
        .map(
            factory ->
                DynamicTest.dynamicTest(
                    factory.name(),
                    () -> {
                      var budget = (BudgetAllocator) factory.create(Map.of(), Named.LOOKUP);
                      for (int tokens : new int[] {1, 2, 7, 64, 511, 100_000}) {
                        for (int layers : new int[] {1, 2, 5, 32}) {
                          for (int layer = 0; layer < layers; layer++) {
                            int kept =
                                budget.keptTokens(
                                    new BudgetRequest(layer, layers, 2, tokens, 64, 3));
                            assertTrue(kept >= 0 && kept <= tokens, factory.name() + " " + kept);
                          }
                        }
                      }
                    }));
  }
}
