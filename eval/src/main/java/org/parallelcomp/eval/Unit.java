package org.parallelcomp.eval;

/**
 * One run of one method on one case.
 *
 * @param method as the specification names it
 * @param task kind of question
 * @param tokens length of the text; 0 where a data file says it
 * @param depth where the needle stands; NaN where that is no part of the grid
 * @param index tells the cases of a cell apart
 * @param measure what is measured
 */
record Unit(String method, String task, int tokens, double depth, int index, Measure measure) {
  /** What a run measures. */
  enum Measure {
    /** What the answer scores. */
    ANSWER,
    /** How likely given text is. */
    LIKELIHOOD,
    /** How far the logits are from those of full attention. */
    FIDELITY
  }

  /** Returns whether both are runs on the same case. */
  boolean sameCase(Unit other) {
    return task.equals(other.task)
        && tokens == other.tokens
        && Double.compare(depth, other.depth) == 0
        && index == other.index
        && measure == other.measure;
  }

  /** Returns a key that no other unit of the evaluation has. */
  String key() {
    return String.join(
        "|",
        method,
        task,
        Integer.toString(tokens),
        Double.toString(depth),
        Integer.toString(index),
        measure.name());
  }
}
