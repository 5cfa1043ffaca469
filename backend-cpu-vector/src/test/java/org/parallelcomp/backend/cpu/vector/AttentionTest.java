package org.parallelcomp.backend.cpu.vector;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.parallelcomp.api.backend.AttendSequence;
import org.parallelcomp.api.cache.KvLayer;
import org.parallelcomp.api.cache.TokenSelection;
import org.parallelcomp.api.evidence.HeadReduction;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Tensor;

@Tag("kernel")
class AttentionTest {
  private static final float SCALE = 0.2f;

  /** Outliers make scores of 100 and more, where neighbouring floats are 8e-6 apart. */
  private static final double TOLERANCE = 3e-5;

  private final Fixture f = new Fixture(20261122);

  @AfterEach
  void close() {
    f.close();
  }

  @ParameterizedTest
  @CsvSource({
    "1, 1, 1, 32", "7, 2, 3, 64", "13, 4, 1, 32", "64, 2, 4, 32", "207, 3, 3, 64",
    "207, 1, 1, 20", "64, 2, 5, 80", "1025, 2, 2, 32", "513, 1, 4, 128", "40, 1, 7, 33"
  })
  void causalAttentionEqualsPlainSums(int tokens, int kvHeads, int group, int headDim) {
    KvLayer layer = f.layer(DType.F32, headDim, repeat(kvHeads, tokens));
    check(tokens, group, AttendSequence.causal(0, tokens, layer));
  }

  @ParameterizedTest
  @CsvSource({"1, 64, 3", "2, 1500, 3", "5, 513, 2", "6, 1025, 3", "33, 1025, 3", "200, 300, 1"})
  void newestRowsSeeTheWholeCache(int rows, int tokens, int group) {
    KvLayer layer = f.layer(DType.F32, 64, tokens, tokens, tokens);
    check(rows, group, AttendSequence.causal(0, rows, layer));
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 6, 7, 30, 150})
  void headsMayHoldDifferentNumbersOfTokens(int rows) {
    KvLayer layer = f.layer(DType.F32, 32, 150, 1025, 207, 600);
    check(rows, 2, AttendSequence.causal(0, rows, layer));
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 4, 8, 100})
  void onlyTheRangeIsSeen(int rows) {
    KvLayer layer = f.layer(DType.F32, 32, 700, 650);
    check(rows, 3, AttendSequence.over(0, rows, layer, 130, 611));
    check(
        rows, 3, new AttendSequence(0, rows, layer, new int[] {5, 77}, new int[] {300, 250}, true));
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 40})
  void whatLiesOutsideOfTheRangeDoesNotMatter(int rows) {
    KvLayer layer = f.layer(DType.F32, 32, 300);
    float[] poison = new float[32 * 20];
    Arrays.fill(poison, Float.NaN);
    for (Tensor tensor : List.of(layer.keys(), layer.values())) {
      f.backend.host().copyFromHost(tensor.slice(0, 0, 20), poison);
      f.backend.host().copyFromHost(tensor.slice(0, 280, 300), poison);
    }
    check(rows, 2, new AttendSequence(0, rows, layer, new int[] {20}, new int[] {280}, true));
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 40})
  void rowsWithoutKeysAreZero(int rows) {
    KvLayer layer = f.layer(DType.F32, 32, 10, 0);
    Tensor out = f.random(rows, 4, 32);
    Tensor logSums = f.random(4, rows);
    f.backend
        .attention()
        .attend(
            out,
            logSums,
            f.random(rows, 4, 32),
            SCALE,
            List.of(new AttendSequence(0, rows, layer, new int[] {3, 0}, new int[] {3, 0}, false)));
    assertArrayEquals(new float[rows * 4 * 32], f.floats(out));
    float[] none = new float[4 * rows];
    Arrays.fill(none, Float.NEGATIVE_INFINITY);
    assertArrayEquals(none, f.floats(logSums));
  }

  @ParameterizedTest
  @EnumSource(names = {"F16", "BF16"})
  void narrowCachesAreReadAsTheyWereRounded(DType dtype) {
    KvLayer layer = f.layer(dtype, 32, 207, 300);
    check(1, 2, AttendSequence.causal(0, 1, layer));
    check(100, 2, AttendSequence.causal(0, 100, layer));
  }

  @Test
  void sequencesOfOneCallDoNotMix() {
    KvLayer first = f.layer(DType.F32, 32, 80, 90);
    KvLayer second = f.layer(DType.F32, 32, 400, 30);
    Tensor queries = f.random(33, 4, 32);
    Tensor out = f.zeros(33, 4, 32);
    Tensor logSums = f.zeros(4, 33);
    List<AttendSequence> sequences =
        List.of(
            AttendSequence.causal(0, 30, first),
            AttendSequence.causal(30, 2, second),
            AttendSequence.over(32, 1, first, 0, 80));
    f.backend.attention().attend(out, logSums, queries, SCALE, sequences);
    Reference reference = new Reference(f, queries, 4);
    sequences.forEach(reference::attend);
    f.assertClose(reference.out, f.floats(out), TOLERANCE, "output");
    f.assertClose(reference.logSums, f.floats(logSums), 3e-6, "log-sum-exp");
  }

  @Test
  void hugeScoresNeitherOverflowNorVanish() {
    KvLayer layer = f.layer(DType.F32, 32, 400);
    Tensor queries = f.random(100, 2, 32);
    Tensor out = f.zeros(100, 2, 32);
    Tensor logSums = f.zeros(2, 100);
    AttendSequence sequence = AttendSequence.causal(0, 100, layer);
    f.backend.attention().attend(out, logSums, queries, 30, List.of(sequence));
    Reference reference = new Reference(f, queries, 2);
    reference.scale = 30;
    reference.attend(sequence);
    assertTrue(Arrays.stream(reference.logSums).max().orElseThrow() > 1000, "the case is tame");
    f.assertClose(reference.logSums, f.floats(logSums), 1e-6, "log-sum-exp");
    for (float x : f.floats(out)) {
      assertFalse(Float.isNaN(x), "seed " + f.seed);
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 60})
  void mergedPartsEqualTheWhole(int rows) {
    int tokens = 700;
    KvLayer layer = f.layer(DType.F32, 64, tokens, tokens);
    Tensor queries = f.random(rows, 6, 64);
    Tensor whole = f.zeros(rows, 6, 64);
    Tensor wholeSums = f.zeros(6, rows);
    attend(whole, wholeSums, queries, AttendSequence.over(0, rows, layer, 0, tokens));
    int[] cuts = {0, 128, 128, 131, 600, tokens};
    Tensor[] outs = new Tensor[cuts.length - 1];
    Tensor[] sums = new Tensor[outs.length];
    for (int i = 0; i < outs.length; i++) {
      outs[i] = f.zeros(rows, 6, 64);
      sums[i] = f.zeros(6, rows);
      AttendSequence part = AttendSequence.over(0, rows, layer, cuts[i], cuts[i + 1]);
      attend(outs[i], sums[i], queries, part);
    }
    // Into one of the parts, as the contract allows.
    f.backend.attention().mergePartial(outs[2], sums[2], List.of(outs), List.of(sums));
    f.assertClose(doubles(f.floats(whole)), f.floats(outs[2]), 1e-5, "output");
    f.assertClose(doubles(f.floats(wholeSums)), f.floats(sums[2]), 1e-5, "log-sum-exp");
  }

  @Test
  void mergingNothingButEmptyPartsIsEmpty() {
    Tensor out = f.zeros(3, 2, 32);
    Tensor sums = f.tensor(filled(6, Float.NEGATIVE_INFINITY), 2, 3);
    f.backend
        .attention()
        .mergePartial(out, sums, List.of(f.zeros(3, 2, 32), out), List.of(sums, sums));
    assertArrayEquals(new float[3 * 2 * 32], f.floats(out));
    assertArrayEquals(filled(6, Float.NEGATIVE_INFINITY), f.floats(sums));
  }

  @ParameterizedTest
  @EnumSource
  void massIsTheProbabilitySummedOverTheWindow(HeadReduction reduction) {
    int rows = 50;
    KvLayer layer = f.layer(DType.F32, 32, 300, 430);
    Tensor queries = f.random(rows, 6, 32);
    AttendSequence sequence =
        new AttendSequence(0, rows, layer, new int[] {10, 0}, new int[] {300, 420}, true);
    Tensor out = f.zeros(rows, 6, 32);
    Tensor logSums = f.zeros(6, rows);
    attend(out, logSums, queries, sequence);
    Reference reference = new Reference(f, queries, 6);
    for (int[] window : new int[][] {{1, 0, 300}, {13, 5, 299}, {50, 240, 300}}) {
      int from = window[1];
      int to = window[2];
      int heads = reduction == HeadReduction.NONE ? 6 : 2;
      Tensor mass = f.random(heads, to - from);
      f.backend
          .attention()
          .attentionMass(mass, queries, logSums, SCALE, sequence, window[0], from, to, reduction);
      f.assertClose(
          reference.mass(sequence, window[0], from, to, reduction),
          f.floats(mass),
          TOLERANCE,
          reduction + Arrays.toString(window));
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 90})
  void keepingEverythingChangesNoBit(int rows) {
    KvLayer layer = f.layer(DType.F32, 32, 207, 400);
    KvLayer kept =
        f.backend
            .cache()
            .compact(f.scope, layer, 0, TokenSelection.of(207, new int[] {207, 207}, all(207, 2)));
    layer.setTokens(1, 207);
    Tensor queries = f.random(rows, 4, 32);
    Tensor before = f.zeros(rows, 4, 32);
    Tensor after = f.zeros(rows, 4, 32);
    Tensor sums = f.zeros(4, rows);
    attend(before, sums, queries, AttendSequence.causal(0, rows, layer));
    attend(after, sums, queries, AttendSequence.causal(0, rows, kept));
    assertArrayEquals(f.floats(before), f.floats(after));
  }

  @Test
  void theNumberOfThreadsChangesNoBit() {
    try (Fixture one = new Fixture(7, 1);
        Fixture three = new Fixture(7, 3)) {
      float[][] results = new float[2][];
      int i = 0;
      for (Fixture fixture : List.of(one, three)) {
        KvLayer layer = fixture.layer(DType.F32, 32, 1200, 1100);
        Tensor queries = fixture.random(102, 4, 32);
        Tensor out = fixture.zeros(102, 4, 32);
        fixture
            .backend
            .attention()
            .attend(
                out,
                null,
                queries,
                SCALE,
                List.of(
                    AttendSequence.causal(0, 100, layer), AttendSequence.causal(100, 2, layer)));
        results[i++] = fixture.floats(out);
      }
      assertArrayEquals(results[0], results[1]);
    }
  }

  @Test
  void queriesMayBeAViewOfWiderRows() {
    KvLayer layer = f.layer(DType.F32, 32, 70);
    Tensor wide = f.random(70, 5, 40);
    Tensor view = wide.slice(1, 2, 4).slice(2, 4, 36);
    Tensor dense = f.tensor(f.floats(view), 70, 2, 32);
    Tensor expected = f.zeros(70, 2, 32);
    Tensor out = f.zeros(70, 3, 36).slice(1, 1, 3).slice(2, 0, 32);
    AttendSequence sequence = AttendSequence.causal(0, 70, layer);
    f.backend.attention().attend(expected, null, dense, SCALE, List.of(sequence));
    f.backend.attention().attend(out, null, view, SCALE, List.of(sequence));
    assertArrayEquals(f.floats(expected), f.floats(out));
  }

  private void check(int rows, int group, AttendSequence sequence) {
    KvLayer layer = sequence.layer();
    int queryHeads = group * layer.kvHeads();
    Tensor queries = f.random(rows, queryHeads, layer.headDim());
    Tensor out = f.random(rows, queryHeads, layer.headDim());
    Tensor logSums = f.random(queryHeads, rows);
    attend(out, logSums, queries, sequence);
    Reference reference = new Reference(f, queries, queryHeads);
    reference.attend(sequence);
    assertTrue(Arrays.stream(reference.out).anyMatch(x -> Math.abs(x) > 0.1), "no signal");
    f.assertClose(reference.out, f.floats(out), TOLERANCE, "output");
    f.assertClose(reference.logSums, f.floats(logSums), 3e-6, "log-sum-exp");
  }

  private void attend(Tensor out, Tensor logSums, Tensor queries, AttendSequence sequence) {
    f.backend.attention().attend(out, logSums, queries, SCALE, List.of(sequence));
  }

  private Tensor all(int tokens, int heads) {
    int[] indices = new int[tokens * heads];
    Arrays.setAll(indices, i -> i % tokens);
    return f.ints(indices);
  }

  private static int[] repeat(int count, int value) {
    int[] all = new int[count];
    Arrays.fill(all, value);
    return all;
  }

  private static float[] filled(int count, float value) {
    float[] all = new float[count];
    Arrays.fill(all, value);
    return all;
  }

  private static double[] doubles(float[] numbers) {
    double[] all = new double[numbers.length];
    Arrays.setAll(all, i -> numbers[i]);
    return all;
  }

  /** The definition, in double precision. */
  private static final class Reference {
    private final int queryHeads;
    private final int headDim;
    private final int allRows;
    private final float[] queries;
    private final Fixture f;
    private KvLayer keysOf;
    private float[] keys;
    final double[] out;
    final double[] logSums;
    double scale = SCALE;

    Reference(Fixture f, Tensor queries, int queryHeads) {
      this.f = f;
      this.queryHeads = queryHeads;
      this.headDim = queries.shape().intDim(2);
      this.allRows = queries.shape().intDim(0);
      this.queries = f.floats(queries);
      this.out = new double[this.queries.length];
      this.logSums = new double[queryHeads * allRows];
    }

    void attend(AttendSequence s) {
      float[] values = f.floats(s.layer().values());
      for (int row = 0; row < s.rows(); row++) {
        for (int head = 0; head < queryHeads; head++) {
          int kvHead = head / (queryHeads / s.layer().kvHeads());
          double[] scores = scores(s, row, head);
          double max = Arrays.stream(scores).max().orElse(0);
          double sum = Arrays.stream(scores).map(x -> Math.exp(x - max)).sum();
          int at = (s.firstRow() + row) * queryHeads + head;
          for (int k = 0; k < scores.length; k++) {
            int slot = s.layer().firstSlot(kvHead) + s.fromToken()[kvHead] + k;
            double p = Math.exp(scores[k] - max) / sum;
            for (int dim = 0; dim < headDim; dim++) {
              out[at * headDim + dim] += p * values[slot * headDim + dim];
            }
          }
          logSums[head * allRows + s.firstRow() + row] = max + Math.log(sum);
        }
      }
    }

    double[] mass(AttendSequence s, int window, int from, int to, HeadReduction reduction) {
      int kvHeads = s.layer().kvHeads();
      int group = queryHeads / kvHeads;
      double[][] perHead = new double[queryHeads][to - from];
      for (int row = s.rows() - window; row < s.rows(); row++) {
        for (int head = 0; head < queryHeads; head++) {
          double[] scores = scores(s, row, head);
          double max = Arrays.stream(scores).max().orElse(0);
          double sum = Arrays.stream(scores).map(x -> Math.exp(x - max)).sum();
          for (int k = 0; k < scores.length; k++) {
            int token = s.fromToken()[head / group] + k;
            if (token >= from && token < to) {
              perHead[head][token - from] += Math.exp(scores[k] - max) / sum;
            }
          }
        }
      }
      if (reduction == HeadReduction.NONE) {
        return Arrays.stream(perHead).flatMapToDouble(Arrays::stream).toArray();
      }
      double[] reduced = new double[kvHeads * (to - from)];
      for (int kvHead = 0; kvHead < kvHeads; kvHead++) {
        for (int k = 0; k < to - from; k++) {
          int at = k;
          var all =
              Arrays.stream(perHead, kvHead * group, (kvHead + 1) * group).mapToDouble(m -> m[at]);
          reduced[kvHead * (to - from) + k] =
              switch (reduction) {
                case MEAN -> all.average().orElseThrow();
                case MAX -> all.max().orElseThrow();
                case MIN -> all.min().orElseThrow();
                case NONE -> throw new AssertionError();
              };
        }
      }
      return reduced;
    }

    private double[] scores(AttendSequence s, int row, int head) {
      if (s.layer() != keysOf) {
        keysOf = s.layer();
        keys = f.floats(keysOf.keys());
      }
      int kvHead = head / (queryHeads / s.layer().kvHeads());
      int from = s.fromToken()[kvHead];
      int to = s.causal() ? s.toToken()[kvHead] - s.rows() + row + 1 : s.toToken()[kvHead];
      double[] scores = new double[to - from];
      int query = ((s.firstRow() + row) * queryHeads + head) * headDim;
      for (int k = 0; k < scores.length; k++) {
        int key = (s.layer().firstSlot(kvHead) + from + k) * headDim;
        for (int dim = 0; dim < headDim; dim++) {
          scores[k] += (double) queries[query + dim] * keys[key + dim];
        }
        scores[k] *= scale;
      }
      return scores;
    }
  }

  @Test
  void theWidthIsTheOneAskedFor() {
    String asked = System.getProperty("parallelcomp.cpu.vectorBits");
    String used = f.backend.info().facts().get("vectorBits");
    if (asked == null) {
      assertTrue(List.of("128", "256", "512").contains(used), used);
    } else {
      assertTrue(Integer.parseInt(used) <= Integer.parseInt(asked), used);
      assertEquals(0, Integer.parseInt(used) % 128);
    }
  }
}
