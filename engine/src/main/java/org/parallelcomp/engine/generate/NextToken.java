package org.parallelcomp.engine.generate;

/** Says which token comes next. */
interface NextToken {
  /** Returns whether it is always the most likely one, the earlier of equals. */
  default boolean takesTheMostLikely() {
    return false;
  }

  /**
   * Returns the next token.
   *
   * @param logits {@code [vocab]}; may be changed
   */
  int next(float[] logits);
}
