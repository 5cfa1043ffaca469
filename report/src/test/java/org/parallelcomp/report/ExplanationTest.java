package org.parallelcomp.report;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.parallelcomp.report.Samples.set;

import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.parallelcomp.engine.PassTrace;
import org.parallelcomp.engine.PassTrace.LayerTrace;
import org.parallelcomp.engine.Trace;
import org.parallelcomp.report.AttentionProfile.Stage;

/** Cases worked out by hand: one token of prefix, eight of text, one of the question. */
class ExplanationTest {
  private static final float[] SEEN = {.30f, .10f, .05f, .05f, .05f, .05f, .05f, .10f, .10f, .15f};
  private static final BitSet BUDGET = set(0, 6, 7);
  private static final BitSet KEPT = set(6, 7);

  private static PassTrace pass(int[] textTokens, float[] attention, BitSet budget, BitSet kept) {
    return new PassTrace(
        1,
        textTokens,
        1,
        List.of(new LayerTrace(1, new float[][] {attention}, List.of(budget), List.of(kept))));
  }

  private static int[] tokens(int from) {
    return IntStream.range(from, from + 8).toArray();
  }

  private static Explanation explain(List<PassTrace> chunks, PassTrace answer) {
    return Explanation.of(new Trace(List.of(), new int[16], new int[16], chunks, answer));
  }

  private static void assertMasses(AttentionProfile profile, double... expected) {
    double[] masses = {
      profile.prefix(), profile.sink(), profile.middle(), profile.recent(), profile.query()
    };
    assertArrayEquals(expected, masses, 1e-6);
  }

  @Test
  void everyStageOfAChunkThatIsCutAndCalibrated() {
    float[] behind = new float[10];
    behind[0] = .5f;
    behind[7] = .2f;
    behind[8] = .1f;
    behind[9] = .2f;
    Explanation explanation =
        explain(List.of(pass(tokens(0), SEEN, BUDGET, KEPT)), pass(tokens(0), behind, KEPT, KEPT));
    Explanation.Layer layer = explanation.layers().getFirst();

    assertEquals(
        List.of(Stage.READ, Stage.BUDGET, Stage.CALIBRATED, Stage.ANSWER),
        layer.attention().stream().map(AttentionProfile::stage).toList());
    // Nine keys before the question, so zones of three: the first holds the prefix.
    AttentionProfile read = layer.attention().get(0);
    assertMasses(read, .30, .15, .15, .25, .15);
    double uniform = .85 / 9;
    assertEquals(.45 / 3 / uniform, read.sinkDensity(), 1e-6);
    assertEquals(.15 / 3 / uniform, read.middleDensity(), 1e-6);
    assertEquals(.25 / 3 / uniform, read.recentDensity(), 1e-6);
    assertEquals(Bias.SINK, read.bias());
    assertEquals(9, read.curve().size());
    assertEquals(.30 / uniform, read.curve().getFirst(), 1e-6);
    assertEquals(.10 / uniform, read.curve().getLast(), 1e-6);
    assertMasses(layer.attention().get(1), .30 / .75, .10 / .75, 0, .20 / .75, .15 / .75);
    assertEquals(Bias.U_SHAPED, layer.attention().get(1).bias());
    assertMasses(layer.attention().get(2), .30 / .65, 0, 0, .20 / .65, .15 / .65);
    assertMasses(layer.attention().get(3), .5, 0, 0, .3, .2);

    assertEquals(List.of(2), layer.keptTokens());
    assertEquals(8, explanation.contextTokens());
    assertArrayEquals(new int[] {0, 0, 0, 0, 0, 0, 1, 1}, Arrays.copyOf(explanation.keptBy(), 8));
  }

  @Test
  void stagesThatTookNothingAreLeftOut() {
    BitSet all = set(0, 1, 2, 3, 4, 5, 6, 7);
    Explanation cut =
        explain(List.of(pass(tokens(0), SEEN, KEPT, KEPT)), pass(tokens(0), SEEN, all, all));
    Explanation plain = explain(List.of(), pass(tokens(0), SEEN, all, all));
    Explanation merged = explain(List.of(), pass(tokens(0), SEEN, BUDGET, KEPT));

    assertEquals(List.of(Stage.READ, Stage.BUDGET, Stage.ANSWER), stages(cut));
    assertEquals(List.of(Stage.ANSWER), stages(plain));
    assertEquals(List.of(Stage.READ, Stage.BUDGET, Stage.CALIBRATED), stages(merged));
  }

  private static List<Stage> stages(Explanation explanation) {
    return explanation.layers().getFirst().attention().stream()
        .map(AttentionProfile::stage)
        .toList();
  }

  @Test
  void chunksCountAlikeInAMean() {
    float[] question = new float[10];
    question[9] = 1;
    Explanation explanation =
        explain(
            List.of(
                pass(tokens(0), SEEN, BUDGET, BUDGET), pass(tokens(8), question, BUDGET, BUDGET)),
            pass(IntStream.range(0, 16).toArray(), new float[18], new BitSet(), new BitSet()));

    assertMasses(
        explanation.layers().getFirst().attention().getFirst(), .15, .075, .075, .125, .575);
  }

  @Test
  void headsCountAlikeAndAreCountedApart() {
    float[] other = new float[10];
    other[4] = .5f;
    other[9] = .5f;
    var layer =
        new LayerTrace(
            1, new float[][] {SEEN, other}, List.of(BUDGET, set(3)), List.of(KEPT, set(3)));
    Explanation explanation =
        explain(List.of(), new PassTrace(1, tokens(4), 1, List.of(layer, layer)));

    assertEquals(4, explanation.pairs());
    assertEquals(List.of(2, 1), explanation.layers().getFirst().keptTokens());
    assertMasses(
        explanation.layers().getFirst().attention().getFirst(), .15, .075, .325, .125, .325);
    assertArrayEquals(
        new int[] {0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 2, 2, 0, 0, 0, 0}, explanation.keptBy());
  }

  /** A rolling cache holds tokens of the prompt too, which are none of the text. */
  @Test
  void tokensOfThePromptAreNotCounted() {
    int[] rolled = {-1, -1, 0, 1, 2, 3, 4, 5};
    Explanation explanation = explain(List.of(), pass(rolled, SEEN, set(0, 7), set(0, 7)));

    assertEquals(6, explanation.contextTokens());
    assertEquals(List.of(1), explanation.layers().getFirst().keptTokens());
    assertEquals(1, explanation.keptBy()[5]);
  }

  @Test
  void whatIsHeldTwiceByOverlappingChunksIsKeptOnce() {
    int[] overlapping = {0, 1, 2, 3, 2, 3, 4, 5};
    Explanation explanation = explain(List.of(), pass(overlapping, SEEN, set(2, 4), set(2, 4)));

    assertEquals(1, explanation.keptBy()[2]);
    assertEquals(List.of(2), explanation.layers().getFirst().keptTokens());
  }

  @Test
  void withoutAnAnswerThereIsNothingToExplain() {
    assertEquals(
        List.of(),
        Explanation.of(new Trace(List.of(), new int[3], new int[3], List.of(), null)).layers());
  }
}
