package org.parallelcomp.report;

import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.function.ToDoubleFunction;
import java.util.stream.IntStream;
import org.parallelcomp.engine.PassTrace;
import org.parallelcomp.engine.PassTrace.LayerTrace;

/**
 * Where the question's attention goes in one layer, on average over its heads. The masses are
 * shares of it and sum to 1.
 *
 * @param stage when it was looked at
 * @param windowTokens how many of the question's last tokens were looked at
 * @param prefix mass of the prompt's prefix
 * @param sink mass of the text's tokens among the first {@link #ZONE_TOKENS} of the pass
 * @param middle mass of the text's tokens between
 * @param recent mass of the last {@link #ZONE_TOKENS} tokens of the text
 * @param query mass of the prompt's tokens behind the text
 * @param sinkDensity attention per token of the first zone, the prefix counted, as a multiple of
 *     what it were if all tokens of prefix and text drew the same
 * @param middleDensity the same of the zone between
 * @param recentDensity the same of the last zone
 * @param curve the same in {@link #BINS} equal parts of prefix and text
 */
public record AttentionProfile(
    Stage stage,
    int windowTokens,
    double prefix,
    double sink,
    double middle,
    double recent,
    double query,
    double sinkDensity,
    double middleDensity,
    double recentDensity,
    List<Double> curve) {
  /** The zones at the beginning and the end, as in the paper; less where a pass has not thrice. */
  public static final int ZONE_TOKENS = 100;

  /** Parts of the curve. */
  public static final int BINS = 48;

  public AttentionProfile {
    curve = List.copyOf(curve);
  }

  /** When attention is looked at. */
  public enum Stage {
    /** Each chunk on its own, all of its keys there. */
    READ("as read"),
    /** The same, given to the keys alone that scores and budget left. */
    BUDGET("kept by budget"),
    /** The same, given to the keys alone that calibration left of those. */
    CALIBRATED("after calibration"),
    /** The question behind everything that was kept, as the answer begins. */
    ANSWER("as the answer begins");

    private final String label;

    Stage(String label) {
      this.label = label;
    }

    /** Returns the words for it. */
    public String label() {
      return label;
    }
  }

  /**
   * Returns the profile of a layer.
   *
   * @param kept per kv head the tokens of the context whose attention counts; that of the others is
   *     given to all keys that count in proportion
   */
  static AttentionProfile of(Stage stage, PassTrace pass, LayerTrace layer, List<BitSet> kept) {
    double[] mass = meanOverHeads(pass, layer, kept);
    int keys = pass.prefixTokens() + pass.contextTokens();
    int zone = Math.min(ZONE_TOKENS, keys / 3);
    int prefix = pass.prefixTokens();
    int sinkEnd = Math.max(prefix, zone);
    int recentStart = Math.max(sinkEnd, keys - zone);
    return new AttentionProfile(
        stage,
        layer.windowTokens(),
        sum(mass, 0, prefix),
        sum(mass, prefix, sinkEnd),
        sum(mass, sinkEnd, recentStart),
        sum(mass, recentStart, keys),
        sum(mass, keys, mass.length),
        density(mass, 0, zone, keys),
        density(mass, zone, keys - zone, keys),
        density(mass, keys - zone, keys, keys),
        curve(mass, keys));
  }

  private static double[] meanOverHeads(PassTrace pass, LayerTrace layer, List<BitSet> kept) {
    int prefix = pass.prefixTokens();
    int context = pass.contextTokens();
    var mean = new double[prefix + context + pass.queryTokens()];
    int heads = layer.attention().length;
    for (int head = 0; head < heads; head++) {
      float[] attention = layer.attention()[head];
      BitSet counts = kept.get(head);
      double left =
          IntStream.range(0, attention.length)
              .filter(i -> i < prefix || i >= prefix + context || counts.get(i - prefix))
              .mapToDouble(i -> attention[i])
              .sum();
      for (int i = 0; i < attention.length && left > 0; i++) {
        if (i < prefix || i >= prefix + context || counts.get(i - prefix)) {
          mean[i] += attention[i] / left / heads;
        }
      }
    }
    return mean;
  }

  private static double sum(double[] mass, int from, int to) {
    return Arrays.stream(mass, from, Math.max(from, to)).sum();
  }

  private static double density(double[] mass, int from, int to, int keys) {
    double perToken = sum(mass, 0, keys) / keys;
    return to == from || perToken == 0 ? 1 : sum(mass, from, to) / (to - from) / perToken;
  }

  private static List<Double> curve(double[] mass, int keys) {
    int bins = Math.min(BINS, keys);
    return IntStream.range(0, bins)
        .mapToObj(
            bin ->
                density(
                    mass, (int) ((long) bin * keys / bins), (int) ((bin + 1L) * keys / bins), keys))
        .toList();
  }

  /** Returns the mean of profiles of one layer and stage, one for each chunk. */
  static AttentionProfile mean(List<AttentionProfile> profiles) {
    int bins = profiles.stream().mapToInt(profile -> profile.curve.size()).min().orElse(0);
    return new AttentionProfile(
        profiles.getFirst().stage,
        profiles.getFirst().windowTokens,
        average(profiles, AttentionProfile::prefix),
        average(profiles, AttentionProfile::sink),
        average(profiles, AttentionProfile::middle),
        average(profiles, AttentionProfile::recent),
        average(profiles, AttentionProfile::query),
        average(profiles, AttentionProfile::sinkDensity),
        average(profiles, AttentionProfile::middleDensity),
        average(profiles, AttentionProfile::recentDensity),
        IntStream.range(0, bins)
            .mapToObj(bin -> average(profiles, profile -> profile.curve.get(bin)))
            .toList());
  }

  private static double average(
      List<AttentionProfile> profiles, ToDoubleFunction<AttentionProfile> number) {
    return profiles.stream().mapToDouble(number).average().orElseThrow();
  }

  /** Returns the shape over prefix and text. */
  public Bias bias() {
    return Bias.of(sinkDensity, middleDensity, recentDensity);
  }
}
