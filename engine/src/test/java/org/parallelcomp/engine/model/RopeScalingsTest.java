package org.parallelcomp.engine.model;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;

import org.junit.jupiter.api.Test;
import org.parallelcomp.api.backend.Rope;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.engine.RopeScaling;
import org.parallelcomp.engine.load.RopeConfig;

/** Scaled positions against the formulas of their sources, in double precision. */
class RopeScalingsTest {
  private static final int WINDOW = 2048;
  private static final int DIMS = 32;
  private static final double THETA = 10_000;

  private static RopeConfig plain() {
    float[] inverse = new float[DIMS / 2];
    for (int i = 0; i < inverse.length; i++) {
      inverse[i] = (float) Math.pow(THETA, -2.0 * i / DIMS);
    }
    return new RopeConfig(Rope.Style.HALF_SPLIT, inverse);
  }

  @Test
  void ntkChangesTheBaseSoThatTheSlowestPairIsInterpolated() {
    double factor = 8;
    float[] scaled =
        RopeScalings.scale(plain(), new RopeScaling(RopeScaling.Method.NTK, factor), WINDOW, 1)
            .inverseFrequencies();
    double base = THETA * Math.pow(factor, DIMS / (DIMS - 2.0));
    for (int i = 0; i < scaled.length; i++) {
      assertEquals(Math.pow(base, -2.0 * i / DIMS), scaled[i], 1e-6 * scaled[i], "pair " + i);
    }
    int last = scaled.length - 1;
    assertEquals(plain().inverseFrequencies()[last] / factor, scaled[last], 1e-6 * scaled[last]);
    assertEquals(1, scaled[0]);
  }

  @Test
  void yarnInterpolatesSlowPairsKeepsFastOnesAndSharpensAttention() {
    double factor = 4;
    RopeConfig scaled =
        RopeScalings.scale(plain(), new RopeScaling(RopeScaling.Method.YARN, factor), WINDOW, 1);
    float[] before = plain().inverseFrequencies();
    for (int i = 0; i < before.length; i++) {
      double turns = WINDOW * before[i] / (2 * Math.PI);
      double expected;
      if (turns < 1) {
        expected = before[i] / factor;
      } else if (turns > 32) {
        expected = before[i];
      } else {
        double ramp = (turns - 1) / 31;
        expected = (1 - ramp) * before[i] / factor + ramp * before[i];
      }
      assertEquals(expected, scaled.inverseFrequencies()[i], 1e-6 * expected, "pair " + i);
    }
    assertEquals(Math.pow(0.1 * Math.log(4) + 1, 2), scaled.attentionFactor(), 1e-6);
  }

  @Test
  void asMuchAsTheTextNeedsLeavesTextsWithinTheWindowAlone() {
    var scaling = new RopeScaling(RopeScaling.Method.YARN, 0);
    RopeConfig rope = plain();
    assertSame(rope, RopeScalings.scale(rope, scaling, WINDOW, WINDOW));
    assertEquals(
        Math.pow(0.1 * Math.log(2) + 1, 2),
        RopeScalings.scale(rope, scaling, WINDOW, 2 * WINDOW).attentionFactor(),
        1e-6);
  }

  @Test
  void aFactorBelowOneIsRefused() {
    assertThrows(InferenceException.class, () -> new RopeScaling(RopeScaling.Method.NTK, 0.5));
    assertThrows(
        InferenceException.class, () -> new RopeScaling(RopeScaling.Method.NTK, Double.NaN));
  }
}
