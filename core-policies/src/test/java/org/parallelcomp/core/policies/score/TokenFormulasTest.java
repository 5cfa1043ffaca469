package org.parallelcomp.core.policies.score;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.parallelcomp.core.policies.PlainPass.dot;
import static org.parallelcomp.core.policies.PlainPass.norm;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.parallelcomp.api.backend.MemoryScope;
import org.parallelcomp.api.backend.TensorOps;
import org.parallelcomp.api.policy.PolicyFactory;
import org.parallelcomp.api.policy.TokenScorer;
import org.parallelcomp.api.tensor.Shape;
import org.parallelcomp.api.tensor.Tensor;
import org.parallelcomp.conformance.reference.ReferenceBackend;
import org.parallelcomp.core.policies.PlainPass;

/** Each scorer against its formula in plain doubles. */
class TokenFormulasTest {
  /** What a protected token scores in a formula. */
  private static final double STAYS = Double.POSITIVE_INFINITY;

  private final ReferenceBackend backend = new ReferenceBackend();
  private final MemoryScope scope = backend.openScope("test");
  private final TensorOps ops = backend.tensorOps(scope);

  @AfterEach
  void close() {
    backend.close();
  }

  private PlainPass pass(int seed, int prefix, int context, int query) {
    int[][] shapes = {{8, 2, 16}, {4, 4, 8}, {7, 1, 8}};
    int[] shape = shapes[seed % shapes.length];
    return PlainPass.random(
        backend, scope, seed, shape[0], shape[1], shape[2], prefix, context, query);
  }

  /** Passes of several shapes and lengths, with and without prefix and question. */
  private List<PlainPass> passes() {
    return List.of(
        pass(0, 0, 60, 0),
        pass(1, 3, 37, 11),
        pass(2, 7, 64, 1),
        pass(3, 2, 1, 5),
        pass(4, 0, 13, 20),
        pass(5, 5, 100, 8));
  }

  @FunctionalInterface
  private interface Formula {
    double score(PlainPass pass, int kvHead, int contextToken);
  }

  private static double[][] table(PlainPass pass, Formula formula) {
    double[][] scores = new double[pass.kvHeads()][pass.contextTokens()];
    for (int h = 0; h < scores.length; h++) {
      for (int j = 0; j < scores[h].length; j++) {
        scores[h][j] = formula.score(pass, h, j);
      }
    }
    return scores;
  }

  private void assertScores(double[][] expected, Tensor scores, double tolerance, String message) {
    assertEquals(Shape.of(expected.length, expected[0].length), scores.shape(), message);
    float[] actual = backend.host().copyToHostFloats(scores);
    double scale =
        Arrays.stream(expected)
            .flatMapToDouble(Arrays::stream)
            .filter(Double::isFinite)
            .map(Math::abs)
            .max()
            .orElse(1);
    for (int i = 0; i < actual.length; i++) {
      int head = i / expected[0].length;
      int token = i % expected[0].length;
      double want = expected[head][token];
      String where = message + ", head " + head + ", token " + token;
      if (want == STAYS) {
        assertTrue(actual[i] >= 0x1p100f, where + " must be protected, not " + actual[i]);
      } else {
        assertEquals(want, actual[i], tolerance * scale, where);
        assertFalse(actual[i] >= 0x1p99f, where + " must not be protected");
      }
    }
  }

  private static String about(PlainPass pass) {
    return pass.queryHeads()
        + " query heads, "
        + pass.kvHeads()
        + " kv heads, "
        + pass.prefixTokens()
        + " + "
        + pass.contextTokens()
        + " + "
        + pass.queryTokens()
        + " tokens";
  }

  private void assertFormula(
      PolicyFactory<TokenScorer> factory,
      Map<String, String> parameters,
      double tolerance,
      Formula formula) {
    TokenScorer scorer = factory.create(parameters);
    for (PlainPass pass : passes()) {
      double[][] expected = table(pass, formula);
      Tensor scores = scorer.score(pass, ops);
      assertScores(expected, scores, tolerance, factory.name() + " " + parameters + about(pass));
      assertArrayEquals(
          backend.host().copyToHostFloats(scores),
          backend.host().copyToHostFloats(scorer.score(pass, ops)),
          "the same again");
    }
  }

  // ---- by observed attention ----

  @Test
  void tovaIsTheLastTokensAttentionOverAllHeads() {
    assertFormula(
        Tova.FACTORY,
        Map.of(),
        1e-6,
        (pass, h, j) -> {
          if (pass.queryTokens() == 0 && j == pass.contextTokens() - 1) {
            return STAYS;
          }
          return IntStream.range(0, pass.queryHeads())
              .mapToDouble(g -> pass.attention(g, pass.tokens() - 1)[pass.prefixTokens() + j])
              .average()
              .orElseThrow();
        });
  }

  private static double columnSum(PlainPass pass, int h, int j) {
    double sum = 0;
    for (int g = h * pass.group(); g < (h + 1) * pass.group(); g++) {
      for (int i = pass.prefixTokens(); i < pass.tokens(); i++) {
        sum += pass.attention(g, i)[pass.prefixTokens() + j];
      }
    }
    return sum / pass.group();
  }

  @Test
  void heavyHittersAreTheColumnSumsOfTheWholePass() {
    assertFormula(
        HeavyHitters.FACTORY,
        Map.of("recent", "0.3"),
        1e-6,
        (pass, h, j) -> {
          int recent = (int) Math.round(0.3 * pass.keptTokens());
          return j >= pass.contextTokens() - recent ? STAYS : columnSum(pass, h, j);
        });
  }

  @Test
  void observedAttentionIsTheMeanOverThoseThatSeeTheKey() {
    assertFormula(
        ObservedAttention.FACTORY,
        Map.of(),
        1e-6,
        (pass, h, j) -> columnSum(pass, h, j) / (pass.contextTokens() - j + pass.queryTokens()));
  }

  @Test
  void finchWeighsEachQuestionTokenByTheKeysThatItSees() {
    Formula formula =
        (pass, h, j) -> {
          if (pass.queryTokens() == 0 && j == pass.contextTokens() - 1) {
            return STAYS;
          }
          int window = Math.max(1, pass.queryTokens());
          double sum = 0;
          for (int g = h * pass.group(); g < (h + 1) * pass.group(); g++) {
            for (int i = pass.tokens() - window; i < pass.tokens(); i++) {
              sum += (i + 1) * pass.attention(g, i)[pass.prefixTokens() + j];
            }
          }
          return sum / pass.group() / window;
        };
    assertFormula(Finch.FACTORY, Map.of(), 1e-6, formula);
    assertFormula(
        Finch.FACTORY,
        Map.of("normalise", "false"),
        1e-6,
        (pass, h, j) -> {
          int window = Math.max(1, pass.queryTokens());
          return pass.queryTokens() == 0 && j == pass.contextTokens() - 1
              ? STAYS
              : pass.meanOfGroups(pass.mass(window))[h][j] / window;
        });
  }

  @Test
  void snapKvOfATextWithoutQuestionKeepsItsWindowAndPoolsBeforeIt() {
    PlainPass pass = pass(0, 0, 60, 0);
    double[][] mass = pass.meanOfGroups(pass.mass(16));
    double[][] expected =
        table(
            pass,
            (p, h, j) -> {
              if (j >= 44) {
                return STAYS;
              }
              double sum = 0;
              for (int i = Math.max(0, j - 2); i <= Math.min(43, j + 2); i++) {
                sum += mass[h][i];
              }
              return sum / 5;
            });
    assertScores(
        expected, SnapKv.FACTORY.create(Map.of("window", "16")).score(pass, ops), 1e-6, "snapkv");
    TokenScorer wide = SnapKv.FACTORY.create(Map.of("window", "100"));
    assertScores(
        table(pass, (p, h, j) -> STAYS), wide.score(pass, ops), 0, "a window of everything");
  }

  // ---- by keys and values ----

  @Test
  void keyDiffIsTheCosineToTheMeanDirection() {
    assertFormula(
        KeyDiff.FACTORY,
        Map.of(),
        2e-6,
        (pass, h, j) -> {
          double[] anchor = new double[pass.headDim()];
          for (int t = 0; t < pass.contextTokens(); t++) {
            for (int d = 0; d < anchor.length; d++) {
              anchor[d] += pass.key(h, t)[d] / norm(pass.key(h, t));
            }
          }
          return -dot(pass.key(h, j), anchor) / norm(pass.key(h, j)) / norm(anchor);
        });
  }

  /** Softmax, inside a partition, of the spread over the channels of what is scaled by the next. */
  private static double[] lagged(double[][] here, double[][] next) {
    int channels = here[0].length;
    double[] spread = new double[here.length];
    for (int t = 0; t < here.length; t++) {
      double[] scaled = new double[channels];
      for (int d = 0; d < channels; d++) {
        int channel = d;
        double least = Arrays.stream(next).mapToDouble(x -> x[channel]).min().orElseThrow();
        double most = Arrays.stream(next).mapToDouble(x -> x[channel]).max().orElseThrow();
        scaled[d] = most > least ? (here[t][d] - least) / (most - least) : 0;
      }
      double mean = Arrays.stream(scaled).average().orElseThrow();
      double squares = Arrays.stream(scaled).map(x -> (x - mean) * (x - mean)).sum();
      double deviation = Math.sqrt(squares / (channels - 1));
      spread[t] = Double.isNaN(deviation) ? 0 : deviation;
    }
    double sum = Arrays.stream(spread).map(Math::exp).sum();
    return Arrays.stream(spread).map(x -> Math.exp(x) / sum).toArray();
  }

  private static double lagRank(PlainPass pass, int h, int j, int sinks, int lag) {
    int from = Math.clamp(sinks - pass.prefixTokens(), 0, pass.contextTokens());
    int partitions = (pass.contextTokens() - from) / lag;
    if (j < from || j >= from + (partitions - 1) * lag) {
      return STAYS;
    }
    int start = from + (j - from) / lag * lag;
    double[] keys =
        lagged(
            run(pass.keyNumbers()[h], pass, start, lag),
            run(pass.keyNumbers()[h], pass, start + lag, lag));
    double[] values =
        lagged(
            run(pass.valueNumbers()[h], pass, start, lag),
            run(pass.valueNumbers()[h], pass, start + lag, lag));
    double[] worth = new double[lag];
    Arrays.setAll(worth, t -> (float) keys[t] + (float) values[t]);
    int me = j - start;
    return IntStream.range(0, lag)
            .filter(t -> worth[t] < worth[me] || (worth[t] == worth[me] && t > me))
            .count()
        / (double) lag;
  }

  private static double[][] run(double[][] head, PlainPass pass, int from, int length) {
    return Arrays.copyOfRange(
        head, pass.prefixTokens() + from, pass.prefixTokens() + from + length);
  }

  @Test
  void lagKvRanksTheSpreadInsideAPartition() {
    assertFormula(
        LagKv.FACTORY,
        Map.of("lag", "8", "sinks", "4"),
        1e-6,
        (pass, h, j) -> lagRank(pass, h, j, 4, 8));
  }

  @Test
  void aConstantChannelAndNanLeaveLagKvFinite() {
    PlainPass pass = pass(0, 0, 60, 0);
    pass.valueNumbers()[1][12][3] = Double.NaN;
    pass.keyNumbers()[0][40][2] = Double.NaN;
    Tensor scores = LagKv.FACTORY.create(Map.of("lag", "8")).score(pass, ops);
    assertScores(table(pass, (p, h, j) -> lagRank(p, h, j, 4, 8)), scores, 1e-6, "lag-kv");
    for (float score : backend.host().copyToHostFloats(scores)) {
      assertFalse(Float.isNaN(score));
    }
  }

  private static double share(double[][] head, PlainPass pass, int j, int window) {
    int width = window == 0 ? pass.contextTokens() : window;
    int from = j / width * width;
    int to = Math.min(pass.contextTokens(), from + width);
    double mean =
        Arrays.stream(run(head, pass, from, to - from))
            .mapToDouble(x -> dot(x, x))
            .average()
            .orElseThrow();
    double[] own = head[pass.prefixTokens() + j];
    return dot(own, own) / mean;
  }

  @Test
  void curIsTheShareOfTheSquaredNormsInTheirWindow() {
    for (String window : List.of("16", "7", "0", "1000")) {
      int width = Integer.parseInt(window) % 1000;
      Formula key = (pass, h, j) -> share(pass.keyNumbers()[h], pass, j, width);
      Formula value = (pass, h, j) -> share(pass.valueNumbers()[h], pass, j, width);
      Map<String, Formula> formulas =
          Map.of(
              "key",
              key,
              "value",
              value,
              "average",
              (pass, h, j) -> key.score(pass, h, j) + value.score(pass, h, j),
              "product",
              (pass, h, j) -> key.score(pass, h, j) * value.score(pass, h, j));
      formulas.forEach(
          (leverage, formula) ->
              assertFormula(
                  CurLeverage.FACTORY,
                  Map.of("leverage", leverage, "window", window, "sinks", "4"),
                  2e-6,
                  (pass, h, j) -> j < 4 - pass.prefixTokens() ? STAYS : formula.score(pass, h, j)));
    }
  }

  @Test
  void nanInOneValueLeavesTheOtherWindowsAlone() {
    PlainPass pass = pass(0, 0, 60, 0);
    pass.valueNumbers()[0][20][3] = Double.NaN;
    assertScores(
        table(
            pass,
            (p, h, j) ->
                j < 4
                    ? STAYS
                    : share(p.keyNumbers()[h], p, j, 16) * share(p.valueNumbers()[h], p, j, 16)),
        CurLeverage.FACTORY.create(Map.of()).score(pass, ops),
        2e-6,
        "cur");
  }

  // ---- by the context's own queries ----

  /** Received attention inside a block, times the value's norm, averaged over three neighbours. */
  private static double nonCausal(PlainPass pass, int h, int j, int from, int to, int block) {
    double sum = 0;
    for (int t = Math.max(from, j - 1); t <= Math.min(to - 1, j + 1); t++) {
      int start = from + (t - from) / block * block;
      int end = Math.min(to, start + block);
      double received = 0;
      for (int g = h * pass.group(); g < (h + 1) * pass.group(); g++) {
        for (int i = start; i < end; i++) {
          double[] query = pass.queries()[g][pass.prefixTokens() + i];
          double max = Double.NEGATIVE_INFINITY;
          for (int s = start; s < end; s++) {
            max = Math.max(max, dot(query, pass.key(h, s)));
          }
          double total = 0;
          for (int s = start; s < end; s++) {
            total += Math.exp(dot(query, pass.key(h, s)) - max);
          }
          received += Math.exp(dot(query, pass.key(h, t)) - max) / total;
        }
      }
      sum += received / pass.group() * norm(pass.value(h, t));
    }
    return sum / 3;
  }

  @Test
  void nonCausalAttentionLooksBothWaysInsideABlock() {
    assertFormula(
        NonCausalAttention.FACTORY,
        Map.of("block", "24"),
        1e-5,
        (pass, h, j) -> nonCausal(pass, h, j, 0, pass.contextTokens(), 24));
    PlainPass pass = pass(0, 0, 60, 0);
    pass.valueNumbers()[1][30][0] = Double.NaN;
    assertScores(
        table(pass, (p, h, j) -> nonCausal(p, h, j, 0, 60, 24)),
        NonCausalAttention.FACTORY.create(Map.of("block", "24")).score(pass, ops),
        1e-5,
        "a NaN stays with its neighbours");
  }

  /** The leverage of a key of {@code [from, to)} under a sketch. */
  private static double[] leverages(
      PlainPass pass, int h, int from, int to, double[][] sketch, double ridge) {
    int dims = pass.headDim();
    int width = sketch[0].length;
    double[] mean = new double[dims];
    for (int t = from; t < to; t++) {
      for (int d = 0; d < dims; d++) {
        mean[d] += pass.unrotatedKeyNumbers()[h][pass.prefixTokens() + t][d] / (to - from);
      }
    }
    double[][] rows = new double[to - from][width];
    for (int t = from; t < to; t++) {
      for (int s = 0; s < width; s++) {
        for (int d = 0; d < dims; d++) {
          rows[t - from][s] +=
              (pass.unrotatedKeyNumbers()[h][pass.prefixTokens() + t][d] - mean[d]) * sketch[d][s];
        }
      }
    }
    double[][] gram = new double[width][width];
    for (int a = 0; a < width; a++) {
      for (int b = 0; b < width; b++) {
        for (double[] row : rows) {
          gram[a][b] += row[a] * row[b];
        }
        gram[a][b] += a == b ? ridge : 0;
      }
    }
    return Arrays.stream(rows).mapToDouble(row -> dot(row, solve(gram, row))).toArray();
  }

  /** Gauss-Jordan elimination with pivoting. */
  static double[] solve(double[][] matrix, double[] right) {
    int n = right.length;
    double[][] a = new double[n][];
    for (int i = 0; i < n; i++) {
      a[i] = Arrays.copyOf(matrix[i], n + 1);
      a[i][n] = right[i];
    }
    for (int c = 0; c < n; c++) {
      int column = c;
      int pivot =
          IntStream.range(c, n)
              .boxed()
              .max((x, y) -> Double.compare(Math.abs(a[x][column]), Math.abs(a[y][column])))
              .orElseThrow();
      double[] swapped = a[c];
      a[c] = a[pivot];
      a[pivot] = swapped;
      for (int r = 0; r < n; r++) {
        double factor = r == c ? 0 : a[r][c] / a[c][c];
        for (int k = c; k <= n && r != c; k++) {
          a[r][k] -= factor * a[c][k];
        }
      }
    }
    double[] x = new double[n];
    Arrays.setAll(x, i -> a[i][n] / a[i][i]);
    return x;
  }

  private double[][] sketch(int dims, int width) {
    var random = new Random(9);
    double[][] sketch = new double[dims][width];
    for (double[] row : sketch) {
      Arrays.setAll(row, s -> (float) (random.nextGaussian() / Math.sqrt(width)));
    }
    return sketch;
  }

  private Tensor tensor(double[][] numbers) {
    float[] all = new float[numbers.length * numbers[0].length];
    for (int i = 0; i < all.length; i++) {
      all[i] = (float) numbers[i / numbers[0].length][i % numbers[0].length];
    }
    return ops.constant(Shape.of(numbers.length, numbers[0].length), all);
  }

  private static LeverageScore leverageScore(Map<String, String> parameters) {
    return (LeverageScore) LeverageScore.FACTORY.create(parameters);
  }

  @Test
  void leverageIsThatOfTheSketchedKeys() {
    for (int width : new int[] {3, 6, 40}) {
      for (PlainPass pass : passes()) {
        double[][] sketch = sketch(pass.headDim(), width);
        double[][] expected = new double[pass.kvHeads()][];
        Arrays.setAll(expected, h -> leverages(pass, h, 0, pass.contextTokens(), sketch, 0.01f));
        assertScores(
            expected,
            leverageScore(Map.of()).score(pass.unrotatedKeys(), tensor(sketch), ops),
            2e-4,
            "sketch of " + width + ", " + about(pass));
      }
    }
  }

  @Test
  void theSketchIsSeededAndAnotherInEachLayer() {
    PlainPass pass = pass(0, 0, 60, 0);
    float[] first = floats(LeverageScore.FACTORY.create(Map.of("sketch", "5")), pass);
    assertArrayEquals(first, floats(LeverageScore.FACTORY.create(Map.of("sketch", "5")), pass));
    assertFalse(
        Arrays.equals(
            first, floats(LeverageScore.FACTORY.create(Map.of("sketch", "5", "seed", "1")), pass)));
    assertFalse(
        Arrays.equals(
            first, floats(LeverageScore.FACTORY.create(Map.of("sketch", "5")), pass.withLayer(2))));
  }

  private float[] floats(TokenScorer scorer, PlainPass pass) {
    return backend.host().copyToHostFloats(scorer.score(pass, ops));
  }

  private static double[][] normalised(double[][] scores) {
    double[] numbers =
        Arrays.stream(scores)
            .flatMapToDouble(Arrays::stream)
            .filter(x -> !Double.isNaN(x))
            .toArray();
    double mean = Arrays.stream(numbers).average().orElseThrow();
    double squares = Arrays.stream(numbers).map(x -> (x - mean) * (x - mean)).sum();
    double standard = Math.sqrt(squares / (numbers.length - 1));
    return Arrays.stream(scores)
        .map(row -> Arrays.stream(row).map(x -> (x - mean) / Math.max(standard, 1e-6)).toArray())
        .toArray(double[][]::new);
  }

  @Test
  void compactorBlendsBothBetweenTheTokensThatStay() {
    var compactor =
        (Compactor)
            Compactor.FACTORY.create(Map.of("block", "16", "blending", "0.7", "sketch", "6"));
    for (int seed = 0; seed < 3; seed++) {
      PlainPass pass = pass(seed, 0, 60, 0);
      if (seed == 0) {
        pass.valueNumbers()[0][25][0] = Double.NaN;
      }
      int from = 8;
      int to = 56;
      double[][] attention = new double[pass.kvHeads()][to - from];
      double[][] leverage = new double[pass.kvHeads()][];
      double[][] sketch = sketch(pass.headDim(), 6);
      for (int h = 0; h < attention.length; h++) {
        for (int j = from; j < to; j++) {
          attention[h][j - from] = nonCausal(pass, h, j, from, to, 16);
        }
        leverage[h] = leverages(pass, h, from, to, sketch, 0.01f);
      }
      double[][] a = normalised(attention);
      double[][] b = normalised(leverage);
      double[][] expected = new double[a.length][to - from];
      for (int h = 0; h < a.length; h++) {
        for (int j = 0; j < expected[h].length; j++) {
          expected[h][j] = a[h][j] + 0.7 * b[h][j];
        }
      }
      Tensor leverages =
          leverageScore(Map.of("sketch", "6"))
              .score(pass.unrotatedKeys().slice(1, from, to), tensor(sketch), ops);
      assertScores(
          expected,
          compactor.score(
              pass.contextQueries().slice(1, from, to),
              pass.keys().slice(1, from, to),
              pass.values().slice(1, from, to),
              leverages,
              ops),
          1e-4,
          "seed " + seed);
      float[] all = floats(compactor, pass);
      for (int i = 0; i < all.length; i++) {
        int token = i % 60;
        assertEquals(token < from || token >= to, all[i] >= 0x1p100f, "token " + token);
      }
    }
  }

  @Test
  void compactorKeepsEverythingOfATextThatIsAllProtected() {
    for (int tokens : new int[] {1, 8, 12}) {
      PlainPass pass = pass(0, 0, tokens, 0);
      assertScores(
          table(pass, (p, h, j) -> STAYS),
          Compactor.FACTORY.create(Map.of()).score(pass, ops),
          0,
          tokens + " tokens");
    }
  }

  /** Mean of the queries of {@code [from, contextTokens)} turned by the mean rotation. */
  private static double[] meanQuery(PlainPass pass, int g, int from, int positions) {
    double[] mean = new double[pass.headDim()];
    for (int t = from; t < pass.contextTokens(); t++) {
      for (int d = 0; d < mean.length; d++) {
        mean[d] +=
            pass.unrotatedQueries()[g][pass.prefixTokens() + t][d] / (pass.contextTokens() - from);
      }
    }
    return apply(pass.rotation(positions), mean);
  }

  private static double[] apply(double[][] matrix, double[] vector) {
    return Arrays.stream(matrix).mapToDouble(row -> dot(row, vector)).toArray();
  }

  /** {@code kᵀ R Σ Rᵀ k}: the mean square of (q - μ)·Rᵀk. */
  private static double variance(PlainPass pass, int g, int from, int positions, double[] key) {
    double[][] rotation = pass.rotation(positions);
    double[] mean = new double[pass.headDim()];
    int count = pass.contextTokens() - from;
    for (int t = from; t < pass.contextTokens(); t++) {
      for (int d = 0; d < mean.length; d++) {
        mean[d] += pass.unrotatedQueries()[g][pass.prefixTokens() + t][d] / count;
      }
    }
    double sum = 0;
    for (int t = from; t < pass.contextTokens(); t++) {
      double[] centred = pass.unrotatedQueries()[g][pass.prefixTokens() + t].clone();
      for (int d = 0; d < mean.length; d++) {
        centred[d] -= mean[d];
      }
      double product = dot(apply(rotation, centred), key);
      sum += product * product;
    }
    return sum / count;
  }

  private static double[][] expected(
      PlainPass pass, int sinks, boolean covariance, boolean values, double epsilon) {
    int from = Math.clamp(sinks - pass.prefixTokens(), 0, pass.contextTokens());
    double[][] scores = new double[pass.kvHeads()][pass.contextTokens()];
    for (int h = 0; h < scores.length; h++) {
      Arrays.fill(scores[h], 0, from, STAYS);
      for (int g = h * pass.group(); g < (h + 1) * pass.group() && from < scores[h].length; g++) {
        double[] mean = meanQuery(pass, g, from, 30);
        double[] logits = new double[pass.contextTokens()];
        for (int j = from; j < logits.length; j++) {
          double[] key = pass.key(h, j);
          logits[j] = dot(key, mean) / Math.sqrt(pass.headDim());
          if (covariance) {
            logits[j] += variance(pass, g, from, 30, key) / (2 * pass.headDim());
          }
        }
        double max = Arrays.stream(logits, from, logits.length).max().orElseThrow();
        double sum = Arrays.stream(logits, from, logits.length).map(x -> Math.exp(x - max)).sum();
        for (int j = from; j < logits.length; j++) {
          scores[h][j] += Math.exp(logits[j] - max) / sum / pass.group();
        }
      }
      for (int j = from; j < scores[h].length && values; j++) {
        scores[h][j] = (scores[h][j] + epsilon) * norm(pass.value(h, j));
      }
    }
    return scores;
  }

  @Test
  void expectedAttentionIsThatOfGaussianQueriesToCome() {
    for (PlainPass pass : passes()) {
      for (boolean covariance : new boolean[] {true, false}) {
        for (boolean values : new boolean[] {true, false}) {
          TokenScorer scorer =
              ExpectedAttention.FACTORY.create(
                  Map.of(
                      "positions",
                      "30",
                      "covariance",
                      "" + covariance,
                      "values",
                      "" + values,
                      "epsilon",
                      "0.02"));
          assertScores(
              expected(pass, 4, covariance, values, 0.02f),
              scorer.score(pass, ops),
              2e-5,
              covariance + " " + values + " " + about(pass));
        }
      }
    }
  }

  @Test
  void capKvIsTheWeightedLeverageOfTheValues() {
    for (PlainPass pass : passes()) {
      int from = Math.clamp(4 - pass.prefixTokens(), 0, pass.contextTokens());
      int dims = pass.headDim();
      double[][] scores = new double[pass.kvHeads()][pass.contextTokens()];
      for (int h = 0; h < scores.length; h++) {
        Arrays.fill(scores[h], 0, from, STAYS);
        for (int g = h * pass.group(); g < (h + 1) * pass.group() && from < scores[h].length; g++) {
          double[] query = meanQuery(pass, g, from, 30);
          double[] weights = new double[pass.contextTokens()];
          double max = Double.NEGATIVE_INFINITY;
          for (int j = from; j < weights.length; j++) {
            weights[j] = 5 * dot(pass.key(h, j), query) / norm(pass.key(h, j)) / norm(query);
            max = Math.max(max, weights[j]);
          }
          double[][] a = new double[dims][dims];
          for (int d = 0; d < dims; d++) {
            a[d][d] = 1;
          }
          for (int j = from; j < weights.length; j++) {
            weights[j] = Math.exp(weights[j] - max);
            double[] v = pass.value(h, j);
            for (int x = 0; x < dims; x++) {
              for (int y = 0; y < dims; y++) {
                a[x][y] += (weights[j] + 1e-6) * v[x] * v[y];
              }
            }
          }
          for (int j = from; j < weights.length; j++) {
            double[] v = pass.value(h, j);
            scores[h][j] += weights[j] * dot(v, solve(a, v)) / pass.group();
          }
        }
      }
      assertScores(
          scores,
          CapKv.FACTORY.create(Map.of("positions", "30")).score(pass, ops),
          2e-5,
          about(pass));
    }
  }

  // ---- controls and wrappers ----

  @Test
  void randomScoresAreSeededAndOthersInEachLayerAndHead() {
    PlainPass pass = pass(0, 0, 60, 0);
    TokenScorer scorer = RandomTokenScore.FACTORY.create(Map.of("seed", "3"));
    float[] scores = floats(scorer, pass);
    assertArrayEquals(scores, floats(scorer, pass));
    var all = new TreeSet<Float>();
    var others = new ArrayList<float[]>();
    for (int layer = 0; layer < 4; layer++) {
      for (float score : floats(scorer, pass.withLayer(layer))) {
        assertTrue(score >= 0 && score < 1);
        all.add(score);
      }
    }
    assertTrue(all.size() > 4 * scores.length - 5, "layers and heads draw other numbers");
    assertFalse(
        Arrays.equals(scores, floats(RandomTokenScore.FACTORY.create(Map.of("seed", "4")), pass)));
    assertTrue(others.isEmpty());
  }

  @Test
  void protectedTokensAreAboveAllOthersAndInOrder() {
    float[] worst = new float[40];
    Arrays.fill(worst, Float.NaN);
    worst[20] = Float.POSITIVE_INFINITY;
    worst[21] = Float.MAX_VALUE;
    Tensor scores = Protected.tokens(ops.constant(Shape.of(2, 20), worst), 3, 5, ops);
    assertArrayEquals(
        new int[] {0, 1, 2, 15, 16, 17, 18, 19, 0, 1, 2, 15, 16, 17, 18, 19},
        backend.host().copyToHostInts(ops.topK(scores, 8)));
    assertArrayEquals(new int[] {0, 1, 0, 1}, backend.host().copyToHostInts(ops.topK(scores, 2)));
    assertArrayEquals(
        new int[] {0, 1, 2, 18, 19, 0, 1, 2, 18, 19},
        backend.host().copyToHostInts(ops.topK(scores, 5)));
    float[] marks = backend.host().copyToHostFloats(Protected.mask(scores, ops));
    assertEquals(16, IntStream.range(0, 40).filter(i -> marks[i] == 1).count());
    Tensor long1 = Protected.tokens(ops.full(Shape.of(1, 5000), 0), 2500, 2500, ops);
    var values = new TreeSet<Float>();
    for (float value : backend.host().copyToHostFloats(long1)) {
      values.add(value);
    }
    assertEquals(5000, values.size(), "no two protected tokens are equal");
  }

  @Test
  void scorersNameWhatTheyRead() {
    assertEquals(
        Set.of(), RandomTokenScore.FACTORY.create(Map.of()).requires(), "random reads nothing");
  }
}
