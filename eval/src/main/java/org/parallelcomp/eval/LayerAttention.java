package org.parallelcomp.eval;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.parallelcomp.engine.Trace;
import org.parallelcomp.report.AttentionProfile;
import org.parallelcomp.report.AttentionProfile.Stage;
import org.parallelcomp.report.Explanation;

/**
 * Where the attention of a question's last tokens goes in one layer, at one stage. The masses are
 * shares of all of it, on average over heads and kept chunks; zones and densities are those of
 * {@link AttentionProfile}.
 *
 * @param layer from 0
 * @param stage when it was looked at
 * @param prefix mass of the prompt's prefix
 * @param sink mass of the text's tokens in the first zone
 * @param middle mass of the text's tokens between
 * @param recent mass of the text's last zone
 * @param query mass of the prompt's tokens behind the text
 * @param sinkDensity attention per token of the first zone, the prefix counted, as a multiple of
 *     the mean
 * @param middleDensity the same of the zone between
 * @param recentDensity the same of the last zone
 */
public record LayerAttention(
    int layer,
    Stage stage,
    double prefix,
    double sink,
    double middle,
    double recent,
    double query,
    double sinkDensity,
    double middleDensity,
    double recentDensity) {
  /** Returns every stage of every layer that a trace has seen. */
  static List<LayerAttention> of(Trace trace) {
    List<Explanation.Layer> layers = Explanation.of(trace).layers();
    List<LayerAttention> all = new ArrayList<>();
    for (int layer = 0; layer < layers.size(); layer++) {
      for (AttentionProfile profile : layers.get(layer).attention()) {
        all.add(of(layer, profile));
      }
    }
    return all;
  }

  private static LayerAttention of(int layer, AttentionProfile profile) {
    return new LayerAttention(
        layer,
        profile.stage(),
        profile.prefix(),
        profile.sink(),
        profile.middle(),
        profile.recent(),
        profile.query(),
        profile.sinkDensity(),
        profile.middleDensity(),
        profile.recentDensity());
  }

  /** Returns the mean of some that have layer and stage in common. */
  static LayerAttention mean(List<LayerAttention> some) {
    double[] mean = new double[8];
    for (LayerAttention one : some) {
      double[] numbers = one.numbers();
      Arrays.setAll(mean, i -> mean[i] + numbers[i] / some.size());
    }
    return new LayerAttention(
        some.getFirst().layer,
        some.getFirst().stage,
        mean[0],
        mean[1],
        mean[2],
        mean[3],
        mean[4],
        mean[5],
        mean[6],
        mean[7]);
  }

  private double[] numbers() {
    return new double[] {
      prefix, sink, middle, recent, query, sinkDensity, middleDensity, recentDensity
    };
  }

  /** Returns the largest difference of a mass from another's of the same layer and stage. */
  double massesDifferBy(LayerAttention other) {
    double[] mine = numbers();
    double[] others = other.numbers();
    double largest = 0;
    for (int i = 0; i < 5; i++) {
      largest = Math.max(largest, Math.abs(mine[i] - others[i]));
    }
    return largest;
  }
}
