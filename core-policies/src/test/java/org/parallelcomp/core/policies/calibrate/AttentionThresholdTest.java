package org.parallelcomp.core.policies.calibrate;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.Comparator;
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
import org.parallelcomp.api.cache.TokenSelection;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.evidence.Evidence;
import org.parallelcomp.api.evidence.HeadReduction;
import org.parallelcomp.api.policy.CalibrationPolicy;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Shape;
import org.parallelcomp.conformance.reference.ReferenceBackend;
import org.parallelcomp.core.policies.ObservedLayer;

class AttentionThresholdTest {
  private static final int KV_HEADS = 3;
  private static final int PREFIX = 4;

  private final ReferenceBackend backend = new ReferenceBackend();
  private final MemoryScope scope = backend.openScope("test");
  private final TensorOps ops = backend.tensorOps(scope);

  @AfterEach
  void close() {
    backend.close();
  }

  private ObservedLayer layer(Random random, int layer, int tokens) {
    return new ObservedLayer(
        backend,
        scope,
        layer,
        32,
        PREFIX,
        KV_HEADS,
        ObservedLayer.attention(random, 2 * KV_HEADS, 10, tokens),
        new double[KV_HEADS][tokens][1]);
  }

  private int[][] positions(TokenSelection selection) {
    int[] indices =
        selection
            .indices()
            .map(backend.host()::copyToHostInts)
            .orElseGet(
                () ->
                    IntStream.range(0, KV_HEADS * selection.tokens())
                        .map(i -> i % selection.tokens())
                        .toArray());
    int[][] heads = new int[KV_HEADS][];
    int next = 0;
    for (int h = 0; h < KV_HEADS; h++) {
      heads[h] = Arrays.copyOfRange(indices, next, next + selection.keptTokens(h));
      next += heads[h].length;
    }
    return heads;
  }

  /** A selection with the same number of random tokens in every head. */
  private TokenSelection randomSelection(Random random, int tokens, int kept) {
    float[] noise = new float[KV_HEADS * tokens];
    for (int i = 0; i < noise.length; i++) {
      noise[i] = random.nextFloat();
    }
    var scores = scope.allocate(DType.F32, Shape.of(KV_HEADS, tokens));
    backend.host().copyFromHost(scores, noise);
    return TokenSelection.uniform(tokens, ops.topK(scores, kept));
  }

  /** The calibration loop of the reference implementation's merge(), per head and plainly. */
  private static int[][] reference(
      ObservedLayer layer,
      int[][] kept,
      String zone,
      double threshold,
      HeadReduction heads,
      int prefixCounted,
      boolean equalise) {
    int n = layer.contextTokens();
    double[][] last = layer.mass(1, heads);
    double[][] s = layer.mass(8, HeadReduction.MEAN);
    int[][] hot = new int[KV_HEADS][];
    for (int h = 0; h < KV_HEADS; h++) {
      int head = h;
      hot[h] =
          Arrays.stream(kept[h])
              .filter(j -> last[head][j] > (float) threshold)
              .filter(
                  j ->
                      switch (zone) {
                        case "sink" -> j + prefixCounted < 20;
                        case "recent" -> j >= n - 20;
                        default -> j + prefixCounted >= 20 && j < n - 20;
                      })
              .toArray();
    }
    int most = Arrays.stream(hot).mapToInt(c -> c.length).max().orElse(0);
    int[][] result = new int[KV_HEADS][];
    for (int h = 0; h < KV_HEADS; h++) {
      int head = h;
      var gone = new TreeSet<Integer>();
      Arrays.stream(hot[h]).forEach(gone::add);
      if (equalise) {
        Arrays.stream(kept[h])
            .boxed()
            .filter(j -> !gone.contains(j))
            .sorted(
                Comparator.comparing((Integer j) -> (float) s[head][j])
                    .thenComparing(Comparator.<Integer>naturalOrder().reversed()))
            .limit(most - hot[h].length)
            .toList()
            .forEach(gone::add);
      }
      result[h] = Arrays.stream(kept[h]).filter(j -> !gone.contains(j)).toArray();
    }
    return result;
  }

  @Test
  void eachRangeGivesUpWhatTheReferenceGivesUp() {
    int changed = 0;
    for (int seed = 0; seed < 60; seed++) {
      var random = new Random(seed);
      int tokens = 60 + random.nextInt(80);
      String zone = List.of("sink", "middle", "recent").get(random.nextInt(3));
      int heads = random.nextInt(3);
      boolean countPrefix = random.nextBoolean();
      boolean equalise = random.nextBoolean();
      ObservedLayer layer = layer(random, 2, tokens);
      TokenSelection current =
          random.nextBoolean()
              ? TokenSelection.everything(KV_HEADS, tokens)
              : randomSelection(random, tokens, tokens / 2);
      CalibrationPolicy policy =
          AttentionThreshold.FACTORY.create(
              Map.of(
                  "ranges", "1-8:" + zone + ":0.1",
                  "zone", "20",
                  "heads", List.of("any", "mean", "all").get(heads),
                  "count-prefix", "" + countPrefix,
                  "equalise", "" + equalise));
      int[][] expected =
          reference(
              layer,
              positions(current),
              zone,
              0.1,
              List.of(HeadReduction.MAX, HeadReduction.MEAN, HeadReduction.MIN).get(heads),
              countPrefix ? PREFIX : 0,
              equalise);
      int[][] actual = positions(policy.calibrate(layer, current, ops));
      String message = "seed " + seed + ": ";
      assertTrue(
          Arrays.deepEquals(expected, actual),
          () ->
              message + Arrays.deepToString(expected) + " but was " + Arrays.deepToString(actual));
      changed += Arrays.deepEquals(positions(current), actual) ? 0 : 1;
    }
    assertTrue(changed > 30, "only " + changed + " cases gave anything up");
  }

  @Test
  void rangesActOneAfterTheOtherOnWhatIsLeft() {
    var random = new Random(3);
    ObservedLayer layer = layer(random, 0, 90);
    int[][] all = positions(TokenSelection.everything(KV_HEADS, 90));
    int[][] afterSink = reference(layer, all, "sink", 0.1, HeadReduction.MEAN, 0, true);
    int[][] expected = reference(layer, afterSink, "recent", 0.05, HeadReduction.MEAN, 0, true);
    CalibrationPolicy policy =
        AttentionThreshold.FACTORY.create(
            Map.of(
                "ranges", "1:sink:0.1; 0%-50%:recent:0.05; 32:middle:0.01",
                "zone", "20",
                "heads", "mean",
                "count-prefix", "false"));
    int[][] actual =
        positions(policy.calibrate(layer, TokenSelection.everything(KV_HEADS, 90), ops));
    assertTrue(Arrays.deepEquals(expected, actual), "seed 3");
    assertTrue(expected[0].length < afterSink[0].length, "the second range must have an effect");
  }

  @Test
  void nanNeverSurvivesAWeakNumberAndNothingIsAddedBack() {
    ObservedLayer layer = layer(new Random(5), 0, 40);
    for (double[][] head : layer.probabilities()) {
      head[9][30] = Double.NaN;
      head[9][3] = 0;
    }
    for (double[] row : layer.probabilities()[0]) {
      row[3] = 0.5;
    }
    CalibrationPolicy policy =
        AttentionThreshold.FACTORY.create(
            Map.of("ranges", "1:sink:0.3", "zone", "8", "count-prefix", "false"));
    int[][] left = positions(policy.calibrate(layer, TokenSelection.everything(KV_HEADS, 40), ops));
    assertEquals(39, left[0].length, "head 0 gives up key 3 and no other");
    assertTrue(Arrays.stream(left[0]).noneMatch(j -> j == 3));
    for (int h = 1; h < KV_HEADS; h++) {
      assertEquals(39, left[h].length, "every head gives up as many");
      assertTrue(Arrays.stream(left[h]).noneMatch(j -> j == 30), "NaN is the weakest");
    }
  }

  @Test
  void layersOutsideTheRangesAskForNothingAndKeepTheirSelection() {
    CalibrationPolicy policy = AttentionThreshold.FACTORY.create(Map.of());
    for (int l = 0; l < 32; l++) {
      boolean inside = l < 16 || l >= 24;
      assertEquals(
          inside ? Set.of(Evidence.ATTENTION_MASS) : Set.of(),
          policy.requires(l, 32),
          "layer " + l);
    }
    TokenSelection current = TokenSelection.everything(KV_HEADS, 90);
    assertSame(current, policy.calibrate(layer(new Random(1), 20, 90), current, ops));
    assertSame(
        current,
        NoCalibration.FACTORY
            .create(Map.of())
            .calibrate(layer(new Random(1), 0, 90), current, ops));
  }

  @Test
  void percentagesPartitionModelsOfAnyDepth() {
    List<CalibrationRange> quarters =
        IntStream.range(0, 4)
            .mapToObj(q -> CalibrationRange.parse(25 * q + "%-" + 25 * (q + 1) + "%:sink:0.1"))
            .toList();
    for (int layers = 1; layers <= 80; layers++) {
      for (int l = 0; l < layers; l++) {
        int layer = l;
        int depth = layers;
        assertEquals(1, quarters.stream().filter(q -> q.contains(layer, depth)).count());
      }
    }
    assertEquals(
        List.of(8L, 8L, 8L, 8L),
        quarters.stream()
            .map(q -> IntStream.range(0, 32).filter(l -> q.contains(l, 32)).count())
            .toList());
  }

  @Test
  void numbersCountLayersFromOneAndIncludeBothEnds() {
    CalibrationRange range = CalibrationRange.parse("9-16:recent:0.1");
    assertEquals(
        List.of(8, 9, 10, 11, 12, 13, 14, 15),
        IntStream.range(0, 32).filter(l -> range.contains(l, 32)).boxed().toList());
    assertEquals(
        List.of(0),
        IntStream.range(0, 9)
            .filter(l -> CalibrationRange.parse("1:sink:1").contains(l, 9))
            .boxed()
            .toList());
  }

  @Test
  void everyFaultyRangeIsNamedAtOnce() {
    InferenceException refused =
        assertThrows(
            InferenceException.class,
            () ->
                AttentionThreshold.FACTORY.create(
                    Map.of(
                        "ranges",
                        "0-3:sink:0.1;5-4:sink:0.1;1-2:left:0.1;1%-2:sink:0.1;1-2:sink:1.5;"
                            + "1-2:sink:0.1;10%-110%:sink:0.1;25%:sink:0.1;1.5-2:sink:0.1;")));
    assertEquals(ErrorCode.INVALID_ARGUMENT, refused.code());
    assertEquals(1 + 9, refused.getMessage().split("range '", -1).length, refused.getMessage());
  }
}
