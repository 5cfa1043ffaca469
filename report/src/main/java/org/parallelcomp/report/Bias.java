package org.parallelcomp.report;

/**
 * The shape of an attention distribution over the positions of a pass, prefix included, by its
 * three zones. ParallelComp (arXiv 2502.14317, section 4 and appendix C) names the shapes by eye
 * and the zones by number: the sinks are the first 100 tokens of a chunk, the recent ones its last
 * 100, the middle what lies between. Here a zone stands out if a token of it draws, on average, at
 * least {@value #FACTOR} times the attention of a token of the zone that draws the least.
 */
public enum Bias {
  /** No zone stands out. */
  UNIFORM("uniform", "no zone stands out"),
  /** Beginning and end stand out, the middle does not. */
  U_SHAPED("U-shaped", "the beginning and the end stand out"),
  /** The middle alone stands out; the paper's mountain. */
  PEAK("peak", "the middle stands out"),
  /** The beginning stands out, perhaps with the middle, the end does not. */
  SINK("sink", "the beginning stands out"),
  /** The end stands out, perhaps with the middle, the beginning does not. */
  RECENCY("recency", "the end stands out");

  /** By how much a zone stands out. */
  public static final double FACTOR = 2;

  private final String label;
  private final String meaning;

  Bias(String label, String meaning) {
    this.label = label;
    this.meaning = meaning;
  }

  /** Returns the word for it. */
  public String label() {
    return label;
  }

  /** Returns what it means, as the end of a sentence. */
  public String meaning() {
    return meaning;
  }

  /**
   * Returns the shape.
   *
   * @param sink attention per token of the first zone
   * @param middle attention per token of the zone between
   * @param recent attention per token of the last zone
   */
  public static Bias of(double sink, double middle, double recent) {
    double least = Math.min(sink, Math.min(middle, recent));
    boolean sinkHigh = standsOut(sink, least);
    boolean middleHigh = standsOut(middle, least);
    boolean recentHigh = standsOut(recent, least);
    if (sinkHigh && recentHigh) {
      return U_SHAPED;
    }
    if (sinkHigh) {
      return SINK;
    }
    if (recentHigh) {
      return RECENCY;
    }
    return middleHigh ? PEAK : UNIFORM;
  }

  private static boolean standsOut(double density, double least) {
    return density > 0 && density >= FACTOR * least;
  }
}
