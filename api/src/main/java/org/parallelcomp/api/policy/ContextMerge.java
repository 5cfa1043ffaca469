package org.parallelcomp.api.policy;

/** How the kept chunks become the context from which the answer is decoded. */
public sealed interface ContextMerge {
  /** The kept caches side by side, in document order; the question is prefilled behind them. */
  record Parallel() implements ContextMerge {}

  /**
   * The kept chunks' tokens are prefilled once more as one text, in document order, with the
   * question behind. They must fit the trained window together.
   */
  record Reread() implements ContextMerge {}

  /**
   * As {@link Parallel}, but the kept chunks' tokens are attended to as APE (arXiv 2502.05431)
   * does: with products scaled by {@code 1 / (sqrt(headDim) temperature)}, and with their
   * log-sum-exp multiplied by {@code scale * temperature} before it is merged with that of prompt
   * and answer.
   *
   * @param temperature above 0; below 1 sharpens the attention inside the context
   * @param scale above 0; below 1 lowers the weight of the context as a whole
   */
  record Ape(double temperature, double scale) implements ContextMerge {
    public Ape {
      if (!(temperature > 0 && scale > 0)) {
        throw new IllegalArgumentException(
            "temperature " + temperature + " and scale " + scale + " must be above 0");
      }
    }
  }
}
