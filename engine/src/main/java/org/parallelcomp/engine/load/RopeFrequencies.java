package org.parallelcomp.engine.load;

/**
 * Angles per position of the rotary embedding (arXiv 2104.09864), in single precision as the
 * reference implementations compute them.
 */
final class RopeFrequencies {
  private RopeFrequencies() {}

  /** Returns {@code theta ** (-2i / rotaryDims)}, {@code [rotaryDims / 2]}. */
  static float[] plain(double theta, int rotaryDims) {
    float[] inverse = new float[rotaryDims / 2];
    for (int i = 0; i < inverse.length; i++) {
      float exponent = -(2f * i) / rotaryDims;
      inverse[i] = (float) Math.pow((float) theta, exponent);
    }
    return inverse;
  }

  /** Linear interpolation (arXiv 2306.15595): positions are divided by the factor. */
  static float[] linear(float[] inverse, double factor) {
    float[] scaled = new float[inverse.length];
    for (int i = 0; i < scaled.length; i++) {
      scaled[i] = inverse[i] / (float) factor;
    }
    return scaled;
  }

  /** Divides every frequency by its own factor, as {@code rope_freqs.weight} of GGUF says. */
  static float[] divided(float[] inverse, float[] factors) {
    float[] scaled = new float[inverse.length];
    for (int i = 0; i < scaled.length; i++) {
      scaled[i] = inverse[i] / factors[i];
    }
    return scaled;
  }

  /**
   * The scaling of Llama 3.1: long waves are divided by the factor, short ones kept, and those
   * between are blended.
   *
   * <pre>
   * wave = 2 pi / inverse,  blend = (trained / wave - low) / (high - low)
   * wave &gt; trained / low:    inverse / factor
   * wave &lt; trained / high:   inverse
   * otherwise:               (1 - blend) inverse / factor + blend inverse
   * </pre>
   */
  static float[] llama3(
      float[] inverse, double factor, double low, double high, double trainedTokens) {
    float[] scaled = new float[inverse.length];
    for (int i = 0; i < scaled.length; i++) {
      float wave = (float) (2 * Math.PI) / inverse[i];
      float divided = inverse[i] / (float) factor;
      if (wave > (float) (trainedTokens / low)) {
        scaled[i] = divided;
      } else if (wave < (float) (trainedTokens / high)) {
        scaled[i] = inverse[i];
      } else {
        float blend = ((float) trainedTokens / wave - (float) low) / (float) (high - low);
        scaled[i] = (1 - blend) * divided + blend * inverse[i];
      }
    }
    return scaled;
  }
}
