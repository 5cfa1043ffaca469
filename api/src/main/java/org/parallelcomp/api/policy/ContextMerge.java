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
}
