package org.parallelcomp.engine.generate;

/** Says which token comes next. */
interface NextToken {
  /**
   * Returns the next token.
   *
   * @param logits {@code [vocab]}; may be changed
   */
  int next(float[] logits);
}
