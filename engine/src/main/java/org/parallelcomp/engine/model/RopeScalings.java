package org.parallelcomp.engine.model;

import org.parallelcomp.engine.RopeScaling;
import org.parallelcomp.engine.load.RopeConfig;

/** Rotary embeddings stretched over more positions than the model was trained on. */
public final class RopeScalings {
  /** Turns within the trained window below which a pair is interpolated altogether (YaRN, 3.2). */
  private static final double SLOW_TURNS = 1;

  /** Turns within the trained window above which a pair stays as it is (YaRN, 3.2). */
  private static final double FAST_TURNS = 32;

  private RopeScalings() {}

  /**
   * Returns the scaled embedding.
   *
   * <pre>
   * s = factor, w_i = theta^(-2i / d), L = trained window
   * NTK:   (theta s^(d / (d - 2)))^(-2i / d) = w_i s^(-2i / (d - 2))
   * YaRN:  (1 - g_i) w_i / s + g_i w_i,  g_i = clamp((L w_i / 2 pi - 1) / (32 - 1), 0, 1)
   *        products of queries and keys times (0.1 ln s + 1)^2
   * </pre>
   *
   * @param trainedWindow tokens that the model was trained on at once
   * @param positions positions that a request needs
   */
  public static RopeConfig scale(
      RopeConfig rope, RopeScaling scaling, int trainedWindow, long positions) {
    double factor =
        scaling.factor() == 0 ? Math.max(1, (double) positions / trainedWindow) : scaling.factor();
    if (scaling.method() == RopeScaling.Method.NONE || factor == 1) {
      return rope;
    }
    float[] inverse = rope.inverseFrequencies();
    float[] scaled = new float[inverse.length];
    for (int pair = 0; pair < scaled.length; pair++) {
      scaled[pair] =
          (float)
              (scaling.method() == RopeScaling.Method.NTK
                  ? ntk(inverse[pair], factor, pair, rope.rotaryDims())
                  : yarn(inverse[pair], factor, trainedWindow));
    }
    double sharper = scaling.method() == RopeScaling.Method.YARN ? 0.1 * Math.log(factor) + 1 : 1;
    return new RopeConfig(
        rope.style(), scaled, (float) (rope.attentionFactor() * sharper * sharper));
  }

  private static double ntk(double inverse, double factor, int pair, int rotaryDims) {
    return inverse * Math.pow(factor, -2.0 * pair / (rotaryDims - 2));
  }

  private static double yarn(double inverse, double factor, int trainedWindow) {
    double turns = trainedWindow * inverse / (2 * Math.PI);
    double kept = Math.clamp((turns - SLOW_TURNS) / (FAST_TURNS - SLOW_TURNS), 0, 1);
    return (1 - kept) * inverse / factor + kept * inverse;
  }
}
