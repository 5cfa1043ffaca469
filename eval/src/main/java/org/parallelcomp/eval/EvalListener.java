package org.parallelcomp.eval;

import org.parallelcomp.engine.Progress;

/**
 * Hears how far an evaluation has come: on the thread that runs it or, where several engines share
 * the cases, on theirs, one at a time.
 */
public interface EvalListener {
  /** A listener that hears nothing. */
  EvalListener NONE = new EvalListener() {};

  /**
   * A case begins.
   *
   * @param done cases that are done, also in an earlier run that this one goes on with
   * @param total cases in all
   * @param doneNow cases that this run has done
   * @param elapsedNanos time of this run so far
   * @param what method and case, in words
   */
  default void onCase(int done, int total, int doneNow, long elapsedNanos, String what) {}

  /** How far the case has come; not told where several run at once. */
  default void onProgress(Progress progress) {}
}
