package org.parallelcomp.core.policies;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.Function;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.parallelcomp.api.backend.MemoryScope;
import org.parallelcomp.api.backend.TensorOps;
import org.parallelcomp.api.cache.TokenSelection;
import org.parallelcomp.api.policy.BudgetAllocator;
import org.parallelcomp.api.policy.BudgetRequest;
import org.parallelcomp.api.policy.CalibrationPolicy;
import org.parallelcomp.api.policy.Selector;
import org.parallelcomp.api.policy.TokenScorer;
import org.parallelcomp.api.tensor.Tensor;
import org.parallelcomp.conformance.reference.ReferenceBackend;
import org.parallelcomp.core.policies.KvpressGoldens.Array;
import org.parallelcomp.core.policies.KvpressGoldens.Entry;

/**
 * NVIDIA's kvpress as a second witness: its scores and kept sets on one random layer, and the
 * formula where kvpress is at fault.
 */
class KvpressGoldensTest {
  private static final Map<String, Map<String, Array>> FILES = new TreeMap<>();
  private final ReferenceBackend backend = new ReferenceBackend();
  private final MemoryScope scope = backend.openScope("test");
  private final TensorOps ops = backend.tensorOps(scope);

  @AfterEach
  void close() {
    backend.close();
  }

  private static Map<String, Array> file(Entry entry) {
    return FILES.computeIfAbsent(entry.file(), KvpressGoldens::file);
  }

  /** Returns the scorer of an entry and what its numbers must be multiplied by to be kvpress'. */
  private record Witness(
      String scorer, int queryTokens, Function<double[][], double[][]> toKvpress) {}

  private static final Function<double[][], double[][]> SAME = scores -> scores;

  private static Function<double[][], double[][]> times(double factor) {
    return scores ->
        Arrays.stream(scores)
            .map(row -> Arrays.stream(row).map(x -> x >= 0x1p99 ? x : x * factor).toArray())
            .toArray(double[][]::new);
  }

  /** To mean 0 and variance 1 over all numbers that are not those of protected tokens. */
  private static double[][] normalised(double[][] scores) {
    double[] numbers =
        Arrays.stream(scores).flatMapToDouble(Arrays::stream).filter(x -> x < 0x1p99).toArray();
    double mean = Arrays.stream(numbers).average().orElseThrow();
    double squares = Arrays.stream(numbers).map(x -> (x - mean) * (x - mean)).sum();
    double standard = Math.sqrt(squares / (numbers.length - 1));
    return Arrays.stream(scores)
        .map(row -> Arrays.stream(row).map(x -> x >= 0x1p99 ? x : (x - mean) / standard).toArray())
        .toArray(double[][]::new);
  }

  private static Witness witness(Entry entry) {
    String id = entry.id();
    String press = id.replaceFirst("\\..*", "");
    return switch (press) {
      case "knorm" -> new Witness("key-norm", 0, SAME);
      case "keydiff" -> new Witness("key-diff", 0, SAME);
      case "tova" -> new Witness("tova", 0, SAME);
      case "observed_attention" -> new Witness("observed-attention", 0, SAME);
      case "snapkv" ->
          new Witness(
              "snapkv(window=" + entry.number("w") + ", pool=" + entry.number("k") + ")",
              0,
              times(1.0 / entry.number("w")));
      case "lagkv" ->
          id.contains("cross") || id.contains("constant")
              ? null
              : new Witness("lag-kv(lag=" + entry.number("lag") + ")", 0, SAME);
      case "expected_attention" ->
          new Witness(
              "expected-attention(covariance="
                  + !id.contains("nocov")
                  + ", values="
                  + !id.contains("novnorm")
                  + ", epsilon="
                  + (id.contains("eps") ? "0.02" : "0")
                  + ", sinks="
                  + (id.contains("sink2") ? "2" : "4")
                  + ")",
              0,
              SAME);
      case "capkv" -> new Witness("cap-kv", 0, SAME);
      case "non_causal" ->
          new Witness(
              "non-causal-attention(block=" + entry.number("c") + ")",
              0,
              KvpressGoldensTest::normalised);
      case "finch" ->
          id.contains("chunk") || id.contains("rerotated")
              ? null
              : new Witness(
                  "finch(normalise=" + !id.contains("raw") + ")", entry.number("w"), SAME);
      default -> null;
    };
  }

  /** The scores that are to be met: the formula's where there is one. */
  private static double[][] golden(Entry entry) {
    Map<String, Array> file = file(entry);
    return Stream.of(
            entry.id() + ".formula_scores",
            entry.id() + ".formula_scores_" + (entry.ratio().isEmpty() ? "" : entry.tag()),
            entry.id() + ".scores",
            entry.id() + ".scores_" + (entry.ratio().isEmpty() ? "" : entry.tag()))
        .filter(file::containsKey)
        .findFirst()
        .map(name -> file.get(name).rows())
        .orElse(null);
  }

  private double[][] floats(Tensor scores) {
    float[] numbers = backend.host().copyToHostFloats(scores);
    int columns = scores.shape().intDim(1);
    double[][] rows = new double[scores.shape().intDim(0)][columns];
    for (int i = 0; i < numbers.length; i++) {
      rows[i / columns][i % columns] = numbers[i];
    }
    return rows;
  }

  /** Compares scores; protected tokens need only be above the others in both. */
  private static double assertClose(
      double[][] golden, double[][] ours, double noise, String about) {
    double scale = 0;
    for (int h = 0; h < ours.length; h++) {
      for (int j = 0; j < ours[h].length; j++) {
        scale = ours[h][j] >= 0x1p99 ? scale : Math.max(scale, Math.abs(golden[h][j]));
      }
    }
    double tolerance = 5 * (Double.isNaN(noise) ? 0 : noise) + 1e-5 * scale;
    for (int h = 0; h < ours.length; h++) {
      for (int j = 0; j < ours[h].length; j++) {
        String where = about + ", head " + h + ", token " + j;
        if (ours[h][j] >= 0x1p99) {
          for (int other = 0; other < ours[h].length; other++) {
            assertTrue(ours[h][other] >= 0x1p99 || golden[h][other] <= golden[h][j], where);
          }
        } else {
          assertEquals(golden[h][j], ours[h][j], tolerance, where);
        }
      }
    }
    return tolerance;
  }

  @TestFactory
  Stream<DynamicTest> scorers() {
    return KvpressGoldens.entries().stream()
        .filter(entry -> witness(entry) != null)
        .filter(entry -> !entry.id().equals("lagkv.lag128"))
        .map(
            entry ->
                DynamicTest.dynamicTest(
                    entry.file() + " " + entry.id() + " " + entry.ratio(),
                    () -> assertScorer(entry)));
  }

  private void assertScorer(Entry entry) {
    Witness witness = witness(entry);
    PlainPass pass = KvpressGoldens.pass(backend, scope, file(entry), witness.queryTokens());
    Tensor scores = Named.policy(TokenScorer.class, witness.scorer()).score(pass, ops);
    double[][] golden = golden(entry);
    if (entry.fault() && !file(entry).containsKey(entry.id() + ".formula_scores")) {
      return;
    }
    double tolerance =
        assertClose(golden, witness.toKvpress().apply(floats(scores)), entry.noise(), entry.id());
    Array kept = kept(entry);
    if (kept == null || !entry.comparable() || entry.gap() <= tolerance) {
      return;
    }
    int count = kept.shape()[1] - witness.queryTokens();
    if (count < 1) {
      return;
    }
    int[][] ours =
        positions(Named.policy(Selector.class, "top-k").select(scores, count, pass, ops));
    for (int h = 0; h < ours.length; h++) {
      int[] expected = Arrays.copyOf(kept.positions()[h], count);
      assertArrayEquals(expected, ours[h], entry.id() + " keeps, head " + h);
    }
  }

  private static Array kept(Entry entry) {
    Array formula = file(entry).get(entry.id() + ".formula_kept_" + entry.tag());
    return formula != null || entry.fault()
        ? formula
        : file(entry).get(entry.id() + ".kept_" + entry.tag());
  }

  private int[][] positions(TokenSelection selection) {
    int heads = selection.kvHeads();
    if (selection.indices().isEmpty()) {
      int[][] all = new int[heads][];
      Arrays.fill(all, IntStream.range(0, selection.tokens()).toArray());
      return all;
    }
    int[] indices = backend.host().copyToHostInts(selection.indices().get());
    int[][] positions = new int[heads][];
    int next = 0;
    for (int h = 0; h < heads; h++) {
      positions[h] = Arrays.copyOfRange(indices, next, next + selection.keptTokens(h));
      next += selection.keptTokens(h);
    }
    return positions;
  }

  /** A wrapper's selector and scorer, in the words of this library. */
  private record Wrapper(String selector, String scorer) {}

  private static String inner(Entry entry) {
    String id = entry.id();
    if (id.contains("keydiff")) {
      return "key-diff";
    }
    if (id.contains("expected")) {
      return "expected-attention(values=false)";
    }
    if (id.contains("knorm")) {
      return "key-norm";
    }
    return switch (entry.file()) {
      case "gqa8x2x16-T64" -> "snapkv(window=6, pool=7)";
      case "mqa7x1x8-T33" -> "snapkv(window=4, pool=3)";
      default -> "snapkv(window=16, pool=7)";
    };
  }

  /** Our window's attention is a sum where kvpress' is a mean. */
  private static double epsilon(Entry entry) {
    String scorer = inner(entry);
    return scorer.startsWith("snapkv")
        ? 1e-4 * Integer.parseInt(scorer.replaceAll(".*window=(\\d+).*", "$1"))
        : 1e-4;
  }

  private static Wrapper wrapper(Entry entry) {
    String id = entry.id();
    return switch (id.replaceFirst("\\..*", "")) {
      case "adakv" ->
          new Wrapper("ada-kv(floor=" + id.replaceFirst(".*\\.a(?=\\d)", "") + ")", inner(entry));
      case "critical" -> new Wrapper("critical-kv(epsilon=" + epsilon(entry) + ")", inner(entry));
      case "critical_ada" ->
          new Wrapper(
              "critical-kv(selector=ada-kv(floor=0.2), epsilon=" + epsilon(entry) + ")",
              inner(entry));
      case "block" ->
          new Wrapper(
              "block-wise(block=" + entry.number("b") + ", scorer=" + inner(entry) + ")", "none");
      case "chunk" -> new Wrapper("per-block(block=" + entry.number("c") + ")", inner(entry));
      case "chunkkv" -> new Wrapper("chunk-kv(run=" + entry.number("c") + ")", inner(entry));
      case "composed" ->
          new Wrapper(
              "composed(scorers=["
                  + id.replace("composed.", "")
                      .replace("streaming_llm", "streaming-llm")
                      .replace("knorm", "key-norm")
                      .replace("keydiff", "key-diff")
                      .replace(".", ", ")
                  + "])",
              "none");
      case "streaming_llm" ->
          new Wrapper(
              "top-k",
              "streaming-llm(sinks="
                  + (id.contains("sink4") ? 4 : file(entry).get("keys_rope").shape()[1] / 2)
                  + ")");
      default -> null;
    };
  }

  /**
   * Entries that cannot be compared: the base scores of ChunkKV and of blocks include the protected
   * window there, or kvpress is at fault and no formula is stored.
   */
  private static final Set<String> NOT_COMPARED =
      Set.of("chunkkv.snapkv", "block.snapkv", "chunk.snapkv", "composed.knorm.snapkv");

  @TestFactory
  Stream<DynamicTest> selectors() {
    return KvpressGoldens.entries().stream()
        .filter(entry -> wrapper(entry) != null && entry.comparable())
        .filter(entry -> NOT_COMPARED.stream().noneMatch(entry.id()::startsWith))
        .filter(entry -> kept(entry) != null || file(entry).containsKey(mask(entry)))
        .filter(entry -> !(entry.fault() && kept(entry) == null))
        .map(
            entry ->
                DynamicTest.dynamicTest(
                    entry.file() + " " + entry.id() + " " + entry.ratio(),
                    () -> assertSelector(entry)));
  }

  private static String mask(Entry entry) {
    return entry.id() + ".kept_mask_" + entry.tag();
  }

  private void assertSelector(Entry entry) {
    Wrapper wrapper = wrapper(entry);
    PlainPass pass = KvpressGoldens.pass(backend, scope, file(entry), 0);
    Array mask = file(entry).get(mask(entry));
    int[][] expected = mask == null ? kept(entry).positions() : positions(mask);
    int heads = expected.length;
    int count = Arrays.stream(expected).mapToInt(row -> row.length).sum() / heads;
    Tensor scores = Named.policy(TokenScorer.class, wrapper.scorer()).score(pass, ops);
    int[][] ours =
        positions(
            Named.policy(Selector.class, wrapper.selector()).select(scores, count, pass, ops));
    for (int h = 0; h < heads; h++) {
      assertArrayEquals(expected[h], ours[h], entry.id() + ", head " + h);
    }
  }

  private static int[][] positions(Array mask) {
    return Arrays.stream(mask.rows())
        .map(row -> IntStream.range(0, row.length).filter(j -> row[j] != 0).toArray())
        .toArray(int[][]::new);
  }

  @TestFactory
  Stream<DynamicTest> thresholds() {
    return KvpressGoldens.entries().stream()
        .filter(entry -> entry.id().startsWith("dms."))
        .map(
            entry ->
                DynamicTest.dynamicTest(
                    entry.file() + " " + entry.id(), () -> assertThreshold(entry)));
  }

  private void assertThreshold(Entry entry) {
    int window =
        Map.of("gqa8x2x16-T64", 12, "mqa7x1x8-T33", 6, "mqa7x1x8-T200", 32).get(entry.file());
    String scorer = entry.id().contains("keydiff") ? "key-diff" : "expected-attention";
    CalibrationPolicy policy =
        Named.policy(
            CalibrationPolicy.class,
            "score-threshold(least="
                + entry.threshold()
                + ", recent="
                + window
                + ", scorer="
                + scorer
                + ")");
    PlainPass pass = KvpressGoldens.pass(backend, scope, file(entry), 0);
    TokenSelection kept =
        policy.calibrate(
            pass, TokenSelection.everything(pass.kvHeads(), pass.contextTokens()), ops);
    assertTrue(
        Arrays.deepEquals(positions(file(entry).get(entry.id() + ".kept_mask")), positions(kept)),
        entry.id());
  }

  /** Squared norms over their window; kvpress divides by the sum of the window and of the row. */
  @TestFactory
  Stream<DynamicTest> curLeverage() {
    return KvpressGoldens.entries().stream()
        .filter(e -> e.id().startsWith("cur.") && !e.id().contains("random"))
        .filter(e -> e.ratio().equals("0.5"))
        .map(e -> DynamicTest.dynamicTest(e.file() + " " + e.id(), () -> assertCur(e)));
  }

  private void assertCur(Entry entry) {
    PlainPass pass = KvpressGoldens.pass(backend, scope, file(entry), 0);
    String leverage = entry.id().split("\\.")[1];
    boolean global = entry.id().endsWith("global");
    Tensor scores =
        Named.policy(
                TokenScorer.class,
                "cur(leverage=" + leverage + ", window=" + (global ? 0 : 16) + ")")
            .score(pass, ops);
    double[][] golden = golden(entry);
    double[][] ours = floats(scores);
    int tokens = ours[0].length;
    int power = leverage.equals("product") ? 2 : 1;
    for (int h = 0; h < ours.length; h++) {
      for (int j = 0; j < tokens; j++) {
        // kvpress favours the tokens of a partial last window, whose sum is smaller.
        int window = global ? 16 : Math.min(16, tokens - j / 16 * 16);
        golden[h][j] *= Math.pow(window / 16.0, power);
      }
      double sumOfOurs = Arrays.stream(ours[h], 4, tokens).sum();
      double factor = Arrays.stream(golden[h], 4, tokens).sum() / sumOfOurs;
      for (int j = 4; j < tokens; j++) {
        ours[h][j] *= factor;
      }
    }
    assertClose(golden, ours, entry.noise(), entry.id());
  }

  @Test
  void layerBudgetsKeepWhatThePerLayerPressKeeps() {
    BudgetAllocator budget =
        Named.policy(
            BudgetAllocator.class,
            "per-layer(budgets=[fraction(keep=0.75), fraction(keep=0.5), fraction(keep=0.25),"
                + " everything])");
    for (Entry entry : KvpressGoldens.entries()) {
      if (!entry.id().equals("per_layer.keydiff")) {
        continue;
      }
      PlainPass pass = KvpressGoldens.pass(backend, scope, file(entry), 0);
      Tensor scores = Named.policy(TokenScorer.class, "key-diff").score(pass, ops);
      for (int layer = 0; layer < 4; layer++) {
        int kept =
            budget.keptTokens(
                new BudgetRequest(layer, 4, pass.kvHeads(), pass.contextTokens(), 1, 1));
        int[][] expected = file(entry).get("per_layer.keydiff.layer" + layer + ".kept").positions();
        int[][] ours =
            positions(Named.policy(Selector.class, "top-k").select(scores, kept, pass, ops));
        assertTrue(Arrays.deepEquals(expected, ours), entry.file() + " layer " + layer);
      }
    }
  }

  @Test
  void pyramidBudgetsAreThoseOfPyramidKvWhereItDoesNotCapThem() {
    assertEquals(List.of(56, 40, 24, 8), pyramid("0.5", 64));
    assertEquals(List.of(28, 20, 12, 4), pyramid("0.25", 64));
  }

  private static List<Integer> pyramid(String keep, int tokens) {
    BudgetAllocator budget =
        Named.policy(BudgetAllocator.class, "pyramid(beta=4, budget=fraction(keep=" + keep + "))");
    return IntStream.range(0, 4)
        .mapToObj(layer -> budget.keptTokens(new BudgetRequest(layer, 4, 2, tokens, 1, 1)))
        .toList();
  }

  @Test
  void everyKindOfEntryIsCompared() {
    var compared = new TreeSet<String>();
    Stream.concat(
            KvpressGoldens.entries().stream().filter(e -> witness(e) != null),
            KvpressGoldens.entries().stream().filter(e -> wrapper(e) != null))
        .forEach(e -> compared.add(e.id().replaceFirst("\\..*", "")));
    assertEquals(
        Set.of(
            "adakv",
            "block",
            "capkv",
            "chunk",
            "chunkkv",
            "composed",
            "critical",
            "critical_ada",
            "expected_attention",
            "finch",
            "keydiff",
            "knorm",
            "lagkv",
            "non_causal",
            "observed_attention",
            "snapkv",
            "streaming_llm",
            "tova"),
        compared);
  }
}
