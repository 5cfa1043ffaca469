package org.parallelcomp.engine.generate;

/**
 * Unwinds a request for which the chunk eviction policy kept no chunk to the place that says so.
 */
final class NoChunkKept extends RuntimeException {
  private static final long serialVersionUID = 1L;

  private final double bestScore;

  NoChunkKept(double bestScore) {
    super("no chunk kept", null, false, false);
    this.bestScore = bestScore;
  }

  /** Returns the score of the best chunk. */
  double bestScore() {
    return bestScore;
  }
}
