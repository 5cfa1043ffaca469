package org.parallelcomp.core.policies.select;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Random;
import java.util.TreeSet;
import java.util.function.ToDoubleFunction;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.parallelcomp.api.backend.MemoryScope;
import org.parallelcomp.api.backend.TensorOps;
import org.parallelcomp.api.cache.TokenSelection;
import org.parallelcomp.api.policy.BudgetAllocator;
import org.parallelcomp.api.policy.BudgetRequest;
import org.parallelcomp.api.policy.CalibrationPolicy;
import org.parallelcomp.api.policy.Selector;
import org.parallelcomp.api.policy.TokenScorer;
import org.parallelcomp.api.tensor.Shape;
import org.parallelcomp.api.tensor.Tensor;
import org.parallelcomp.conformance.reference.ReferenceBackend;
import org.parallelcomp.core.policies.Named;
import org.parallelcomp.core.policies.PlainPass;

/** Each selector and budget against its rule, written plainly. */
class SelectorFormulasTest {
  private final ReferenceBackend backend = new ReferenceBackend();
  private final MemoryScope scope = backend.openScope("test");
  private final TensorOps ops = backend.tensorOps(scope);

  @AfterEach
  void close() {
    backend.close();
  }

  private PlainPass pass(int seed) {
    return PlainPass.random(backend, scope, seed, 6, 3, 8, 2, 30 + seed % 40, 5);
  }

  /** Scores with plateaus, outliers, a constant head and NaN. */
  private static double[][] numbers(Random random, PlainPass pass) {
    double[][] numbers = new double[pass.kvHeads()][pass.contextTokens()];
    for (int h = 0; h < numbers.length; h++) {
      for (int j = 0; j < numbers[h].length; j++) {
        int dice = random.nextInt(15);
        numbers[h][j] =
            h == 1
                ? 0.5
                : dice == 0
                    ? Double.NaN
                    : dice == 1 ? (float) (9 * random.nextGaussian()) : random.nextInt(9) / 8.0;
      }
    }
    return numbers;
  }

  private Tensor tensor(double[][] numbers) {
    float[] all = new float[numbers.length * numbers[0].length];
    for (int i = 0; i < all.length; i++) {
      all[i] = (float) numbers[i / numbers[0].length][i % numbers[0].length];
    }
    return ops.constant(Shape.of(numbers.length, numbers[0].length), all);
  }

  /** The best of some items, NaN last, of equal ones the earlier in the list. */
  private static <T> List<T> best(List<T> items, ToDoubleFunction<T> score, int count) {
    return items.stream()
        .sorted(
            Comparator.comparing((T item) -> Double.isNaN(score.applyAsDouble(item)))
                .thenComparing(item -> -score.applyAsDouble(item) + 0.0))
        .limit(count)
        .toList();
  }

  private static List<Integer> tokens(int count) {
    return IntStream.range(0, count).boxed().toList();
  }

  private int[][] positions(TokenSelection selection) {
    int[] indices = backend.host().copyToHostInts(selection.indices().orElseThrow());
    int[][] heads = new int[selection.kvHeads()][];
    int next = 0;
    for (int h = 0; h < heads.length; h++) {
      heads[h] = Arrays.copyOfRange(indices, next, next += selection.keptTokens(h));
    }
    return heads;
  }

  private void assertKept(List<TreeSet<Integer>> expected, TokenSelection actual, String about) {
    int[][] positions = positions(actual);
    for (int h = 0; h < positions.length; h++) {
      assertArrayEquals(
          expected.get(h).stream().mapToInt(j -> j).toArray(), positions[h], about + ", head " + h);
    }
  }

  private record Token(int head, int position) {}

  private static List<TreeSet<Integer>> adaptive(double[][] scores, int kept, double floor) {
    var result = new ArrayList<TreeSet<Integer>>();
    var all = new ArrayList<Token>();
    for (double[] head : scores) {
      var safe = best(tokens(head.length), j -> head[j], (int) (floor * kept));
      result.add(new TreeSet<>(safe));
    }
    for (int j = 0; j < scores[0].length; j++) {
      for (int h = 0; h < scores.length; h++) {
        if (!result.get(h).contains(j)) {
          all.add(new Token(h, j));
        }
      }
    }
    int left = kept * scores.length - result.stream().mapToInt(TreeSet::size).sum();
    for (Token token : best(all, t -> scores[t.head()][t.position()], left)) {
      result.get(token.head()).add(token.position());
    }
    return result;
  }

  @Test
  void adaKvGivesTheRestOfTheLayersBudgetToTheHighestScoresOfAllHeads() {
    int ragged = 0;
    for (int seed = 0; seed < 40; seed++) {
      var random = new Random(seed);
      PlainPass pass = pass(seed);
      double[][] scores = numbers(random, pass);
      int kept = 1 + random.nextInt(pass.contextTokens() - 1);
      for (double floor : new double[] {0, 0.2, 1}) {
        TokenSelection selection =
            Named.policy(Selector.class, "ada-kv(floor=" + floor + ")")
                .select(tensor(scores), kept, pass, ops);
        assertKept(adaptive(scores, kept, floor), selection, "seed " + seed + " floor " + floor);
        ragged += selection.keptTokens(0) == selection.keptTokens(1) ? 0 : 1;
      }
    }
    assertTrue(ragged > 40, "only " + ragged + " selections were ragged");
  }

  @Test
  void chunkKvKeepsTheBestRunsAndFillsTheBudgetFromTheNext() {
    for (int seed = 0; seed < 40; seed++) {
      var random = new Random(seed);
      PlainPass pass = pass(seed);
      double[][] scores = numbers(random, pass);
      int tokens = pass.contextTokens();
      int kept = random.nextInt(tokens);
      int run = 1 + random.nextInt(9);
      double[] runs = new double[Math.ceilDiv(tokens, run)];
      for (int r = 0; r < runs.length; r++) {
        int length = Math.min(run, tokens - r * run);
        for (int j = r * run; j < r * run + length; j++) {
          for (double[] head : scores) {
            runs[r] += head[j] / length;
          }
        }
        runs[r] = (float) runs[r];
      }
      TreeSet<Integer> expected = new TreeSet<>(best(tokens(tokens), j -> runs[j / run], kept));
      assertKept(
          List.of(expected, expected, expected),
          Named.policy(Selector.class, "chunk-kv(run=" + run + ")")
              .select(tensor(scores), kept, pass, ops),
          "seed " + seed);
    }
  }

  @Test
  void everyBlockKeepsItsShare() {
    for (int seed = 0; seed < 40; seed++) {
      var random = new Random(seed);
      PlainPass pass = pass(seed);
      double[][] scores = numbers(random, pass);
      int tokens = pass.contextTokens();
      int kept = random.nextInt(tokens);
      int block = 1 + random.nextInt(20);
      var expected = new ArrayList<TreeSet<Integer>>();
      for (double[] head : scores) {
        var ofHead = new TreeSet<Integer>();
        for (int from = 0; from < tokens; from += block) {
          int start = from;
          int to = Math.min(tokens, from + block);
          int share = kept * to / tokens - kept * from / tokens;
          best(tokens(to - from), j -> head[start + j], share).forEach(j -> ofHead.add(start + j));
        }
        expected.add(ofHead);
      }
      assertKept(
          expected,
          Named.policy(Selector.class, "per-block(block=" + block + ")")
              .select(tensor(scores), kept, pass, ops),
          "seed " + seed);
    }
  }

  @Test
  void protectedTokensAreTakenOutOfTheBudgetFirst() {
    for (int seed = 0; seed < 20; seed++) {
      var random = new Random(seed);
      PlainPass pass = pass(seed);
      double[][] scores = numbers(random, pass);
      int tokens = pass.contextTokens();
      int kept = random.nextInt(tokens);
      int sinks = Math.min(3, kept);
      int recent = Math.min(5, kept - sinks);
      var expected = new ArrayList<TreeSet<Integer>>();
      for (double[] head : scores) {
        var ofHead = new TreeSet<>(tokens(sinks));
        ofHead.addAll(IntStream.range(tokens - recent, tokens).boxed().toList());
        var others =
            IntStream.range(3, Math.max(3, tokens - 5)).boxed().filter(j -> !ofHead.contains(j));
        ofHead.addAll(best(others.toList(), j -> head[j], kept - sinks - recent));
        expected.add(ofHead);
      }
      assertKept(
          expected,
          Named.policy(Selector.class, "protected(sinks=3, recent=5)")
              .select(tensor(scores), kept, pass, ops),
          "seed " + seed);
    }
  }

  /** {@code ‖W_o v‖₁}, averaged over the query heads of a group. */
  private static double outputNorm(PlainPass pass, int h, int j) {
    double sum = 0;
    for (int g = h * pass.group(); g < (h + 1) * pass.group(); g++) {
      double[][] projection = pass.output()[g];
      for (int o = 0; o < projection[0].length; o++) {
        double output = 0;
        for (int d = 0; d < projection.length; d++) {
          output += pass.value(h, j)[d] * projection[d][o];
        }
        sum += Math.abs(output);
      }
    }
    return sum / pass.group();
  }

  private static List<TreeSet<Integer>> critical(
      PlainPass pass, double[][] scores, List<Integer> keptPerHead) {
    var expected = new ArrayList<TreeSet<Integer>>();
    for (int h = 0; h < scores.length; h++) {
      double[] head = scores[h];
      double least = Math.min(0, Arrays.stream(head).filter(x -> x > -1e30).min().orElse(0));
      int kvHead = h;
      var ofHead = new TreeSet<>(best(tokens(head.length), j -> head[j], keptPerHead.get(h) / 2));
      var others = tokens(head.length).stream().filter(j -> !ofHead.contains(j)).toList();
      ofHead.addAll(
          best(
              others,
              j -> (head[j] - least + 1e-4) * outputNorm(pass, kvHead, j),
              keptPerHead.get(h) - ofHead.size()));
      expected.add(ofHead);
    }
    return expected;
  }

  @Test
  void criticalKvWeighsTheSecondHalfByWhatTheValueAddsToTheOutput() {
    for (int seed = 0; seed < 20; seed++) {
      var random = new Random(seed);
      PlainPass pass = pass(seed);
      double[][] scores = numbers(random, pass);
      int kept = 2 + random.nextInt(pass.contextTokens() - 2);
      assertKept(
          critical(pass, scores, List.of(kept, kept, kept)),
          Named.policy(Selector.class, "critical-kv").select(tensor(scores), kept, pass, ops),
          "seed " + seed);
      List<Integer> perHead = adaptive(scores, kept, 0.2).stream().map(TreeSet::size).toList();
      assertKept(
          critical(pass, scores, perHead),
          Named.policy(Selector.class, "critical-kv(selector=ada-kv)")
              .select(tensor(scores), kept, pass, ops),
          "adaptive, seed " + seed);
    }
  }

  /** kvpress multiplies negative scores by the norm, so that large outputs rank lower. */
  @Test
  void ofEqualNegativeScoresTheLargerOutputStays() {
    PlainPass pass = pass(3);
    double[][] scores = new double[pass.kvHeads()][pass.contextTokens()];
    for (double[] head : scores) {
      Arrays.fill(head, -0.5);
      head[0] = -1;
    }
    int[][] kept =
        positions(
            Named.policy(Selector.class, "critical-kv(by-score=0)")
                .select(tensor(scores), 4, pass, ops));
    for (int h = 0; h < kept.length; h++) {
      int kvHead = h;
      List<Integer> largest =
          best(
              tokens(pass.contextTokens()).subList(1, pass.contextTokens()),
              j -> outputNorm(pass, kvHead, j),
              4);
      assertEquals(new TreeSet<>(largest), new TreeSet<>(Arrays.stream(kept[h]).boxed().toList()));
    }
  }

  // ---- scorers among survivors ----

  private double[][] scores(String scorer, PlainPass pass) {
    Tensor scores = Named.policy(TokenScorer.class, scorer).score(pass, ops);
    float[] numbers = backend.host().copyToHostFloats(scores);
    double[][] rows = new double[pass.kvHeads()][pass.contextTokens()];
    for (int i = 0; i < numbers.length; i++) {
      rows[i / pass.contextTokens()][i % pass.contextTokens()] = numbers[i];
    }
    return rows;
  }

  private static double keyDiff(PlainPass pass, int h, int j, List<Integer> among) {
    double[] anchor = new double[pass.headDim()];
    for (int t : among) {
      for (int d = 0; d < anchor.length; d++) {
        anchor[d] += pass.key(h, t)[d] / PlainPass.norm(pass.key(h, t));
      }
    }
    double[] key = pass.key(h, j);
    // To single precision, as ties of repeated keys are decided there.
    return (float) (-PlainPass.dot(key, anchor) / PlainPass.norm(key) / PlainPass.norm(anchor));
  }

  @Test
  void composedScorersScoreAnewWhatIsLeft() {
    for (int seed = 0; seed < 6; seed++) {
      PlainPass pass = pass(seed);
      int tokens = pass.contextTokens();
      int kept = tokens / 4;
      double[][] norms = scores("key-norm", pass);
      var expected = new ArrayList<TreeSet<Integer>>();
      for (int h = 0; h < pass.kvHeads(); h++) {
        int head = h;
        var left =
            new ArrayList<>(new TreeSet<>(best(tokens(tokens), j -> norms[head][j], tokens / 2)));
        expected.add(new TreeSet<>(best(left, j -> keyDiff(pass, head, j, left), kept)));
      }
      assertKept(
          expected,
          Named.policy(Selector.class, "composed(scorers=[key-norm, key-diff])")
              .select(tensor(norms), kept, pass, ops),
          "seed " + seed);
    }
  }

  /** kvpress leaves survivors in the order of their scores, where first and last mean nothing. */
  @Test
  void aPositionalScorerSeesSurvivorsInTheOrderOfTheText() {
    PlainPass pass = pass(5);
    int tokens = pass.contextTokens();
    double[][] norms = scores("key-norm", pass);
    var expected = new ArrayList<TreeSet<Integer>>();
    for (double[] head : norms) {
      var left = new ArrayList<>(new TreeSet<>(best(tokens(tokens), j -> head[j], tokens / 2)));
      // Two of the four sinks belong to the prefix.
      var kept = new TreeSet<>(left.subList(0, 2));
      kept.addAll(left.subList(left.size() - 4, left.size()));
      expected.add(kept);
    }
    assertKept(
        expected,
        Named.policy(Selector.class, "composed(scorers=[key-norm, streaming-llm])")
            .select(tensor(norms), 6, pass, ops),
        "seed 5");
  }

  @Test
  void blockWiseScoresSurvivorsAndTheNextBlockAnew() {
    for (int seed = 0; seed < 6; seed++) {
      PlainPass pass = pass(seed);
      int tokens = pass.contextTokens();
      int kept = 9;
      var expected = new ArrayList<TreeSet<Integer>>();
      for (int h = 0; h < pass.kvHeads(); h++) {
        int head = h;
        List<Integer> left = tokens(kept);
        for (int from = kept; from < tokens; from += 7) {
          var joined = new ArrayList<>(left);
          joined.addAll(IntStream.range(from, Math.min(tokens, from + 7)).boxed().toList());
          left =
              new ArrayList<>(
                  new TreeSet<>(best(joined, j -> keyDiff(pass, head, j, joined), kept)));
        }
        expected.add(new TreeSet<>(left));
      }
      assertKept(
          expected,
          Named.policy(Selector.class, "block-wise(block=7)")
              .select(tensor(new double[3][tokens]), kept, pass, ops),
          "seed " + seed);
    }
  }

  @Test
  void scorersPerLayerDivideTheDepth() {
    String text = "per-layer(scorers=[key-norm, key-diff])";
    for (int layer = 0; layer < 4; layer++) {
      PlainPass pass = pass(1).withLayer(layer);
      assertTrue(
          Arrays.deepEquals(scores(layer < 2 ? "key-norm" : "key-diff", pass), scores(text, pass)),
          "layer " + layer);
    }
  }

  @Test
  void aThresholdKeepsHoweverManyReachItAndTheMostRecent() {
    for (int seed = 0; seed < 10; seed++) {
      PlainPass pass = pass(seed);
      int tokens = pass.contextTokens();
      pass.valueNumbers()[0][pass.prefixTokens() + 4][0] = Double.NaN;
      double[][] scores = scores("cur(leverage=value)", pass);
      float least = (float) scores[1][tokens / 2];
      TokenSelection current =
          Named.policy(Selector.class, "top-k")
              .select(tensor(scores("key-norm", pass)), tokens - 6, pass, ops);
      int[][] before = positions(current);
      var expected = new ArrayList<TreeSet<Integer>>();
      for (int h = 0; h < before.length; h++) {
        var ofHead = new TreeSet<Integer>();
        for (int j : before[h]) {
          if (scores[h][j] >= least || j >= tokens - 5) {
            ofHead.add(j);
          }
        }
        expected.add(ofHead);
      }
      CalibrationPolicy policy =
          Named.policy(
              CalibrationPolicy.class,
              "score-threshold(scorer=cur(leverage=value), recent=5, least=" + least + ")");
      assertKept(expected, policy.calibrate(pass, current, ops), "seed " + seed);
    }
  }

  // ---- budgets ----

  private static int[] perLayer(String budget, int layers, int tokens, int chunks) {
    BudgetAllocator allocator = Named.policy(BudgetAllocator.class, budget);
    return IntStream.range(0, layers)
        .map(l -> allocator.keptTokens(new BudgetRequest(l, layers, 2, tokens, 64, chunks)))
        .toArray();
  }

  @Test
  void thePyramidFallsInAStraightLineAndKeepsTheExactSum() {
    for (int layers : new int[] {1, 2, 4, 31, 32}) {
      for (int tokens : new int[] {10, 64, 200, 8192}) {
        for (int percent : new int[] {5, 25, 50, 75, 90, 100}) {
          for (String beta : List.of("1", "2", "20")) {
            String budget =
                "pyramid(beta=" + beta + ", budget=fraction(keep=" + percent / 100.0 + "))";
            int[] kept = perLayer(budget, layers, tokens, 1);
            int mean = perLayer("fraction(keep=" + percent / 100.0 + ")", 1, tokens, 1)[0];
            String about = budget + ", " + layers + " layers, " + tokens + " tokens";
            assertEquals(layers * mean, Arrays.stream(kept).sum(), about);
            double first = Math.min(tokens, 2 * mean - mean / Double.parseDouble(beta));
            for (int l = 0; l < layers; l++) {
              assertTrue(l == 0 || kept[l] <= kept[l - 1], about + ": never rises");
              double line = layers == 1 ? mean : first - 2 * (first - mean) * l / (layers - 1);
              assertEquals(line, kept[l], 1.0, about + ", layer " + l);
            }
          }
        }
      }
    }
  }

  @Test
  void aPyramidKeepsItsLayerBudgetsInAnyCompany() {
    int[] alone = perLayer("pyramid(beta=4)", 4, 64, 1);
    int[] inside = perLayer("per-layer(budgets=[pyramid(beta=4), pyramid(beta=4)])", 4, 64, 1);
    assertArrayEquals(alone, inside, "kvpress loses them inside a wrapper");
  }

  @Test
  void layerBudgetsDivideTheDepth() {
    assertArrayEquals(
        new int[] {50, 50, 25, 25, 10},
        perLayer(
            "per-layer(budgets=[tokens(keep=50), fraction(keep=0.25), tokens(keep=10)])",
            5,
            100,
            1));
  }

  @Test
  void sharedTokensAreDividedByTheKeptChunks() {
    assertEquals(1024, perLayer("shared-tokens", 1, 5000, 1)[0]);
    assertEquals(341, perLayer("shared-tokens", 1, 5000, 3)[0]);
    assertEquals(300, perLayer("shared-tokens", 1, 300, 3)[0]);
    assertEquals(1, perLayer("shared-tokens(keep=2)", 1, 300, 3)[0]);
  }
}
