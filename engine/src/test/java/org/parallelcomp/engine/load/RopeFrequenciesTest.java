package org.parallelcomp.engine.load;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.Test;

class RopeFrequenciesTest {
  /** Values of {@code 10000 ** (-arange(0, 32, 2) / 32)} in single precision. */
  @Test
  void plainFrequenciesAreThePowersOfTheBase() {
    float[] inverse = RopeFrequencies.plain(10000, 32);
    assertEquals(16, inverse.length);
    assertEquals(1f, inverse[0]);
    assertEquals(0.5623413f, inverse[1], 1e-7f);
    assertEquals(0.01f, inverse[8], 1e-9f);
    assertEquals(1.7782794e-4f, inverse[15], 1e-11f);
  }

  @Test
  void linearScalingDividesAll() {
    assertEquals(0.25f, RopeFrequencies.linear(RopeFrequencies.plain(10000, 32), 4)[0]);
  }

  /** Llama 3.1 8B; values of the formula in the transformers library, computed by numpy. */
  @Test
  void llama3KeepsShortWavesDividesLongOnesAndBlendsBetween() {
    float[] scaled = RopeFrequencies.llama3(RopeFrequencies.plain(500000, 128), 8, 1, 4, 8192);
    double[][] expected = {
      {0, 1.0},
      {1, 0.8146172165870667},
      {20, 0.016560440883040428},
      {28, 0.0032114461064338684},
      {29, 0.0021665706299245358},
      {30, 0.0013718936825171113},
      {33, 0.0003126936499029398},
      {36, 7.784655463183299e-05},
      {50, 4.411534519022098e-06},
      {63, 3.068925877869333e-07}
    };
    for (double[] pair : expected) {
      float value = (float) pair[1];
      assertEquals(value, scaled[(int) pair[0]], 4 * Math.ulp(value), "pair " + pair[0]);
    }
  }
}
