package org.parallelcomp.cli;

import org.jspecify.annotations.Nullable;
import org.parallelcomp.engine.Progress;
import org.parallelcomp.eval.EvalListener;

/** One line: cases done of all, time left, the case under way and how far it is. */
final class EvalProgress implements EvalListener {
  private static final int BAR_CELLS = 12;
  private static final int WIDTH = 110;

  private final ProgressLine line;
  private String cases = "";
  private String what = "";

  EvalProgress(ProgressLine line) {
    this.line = line;
  }

  @Override
  public void onCase(int done, int total, int doneNow, long elapsedNanos, String words) {
    cases = cases(done, total, doneNow, elapsedNanos);
    what = words;
    show(null);
  }

  @Override
  public void onProgress(Progress progress) {
    if (line.mayRedraw()) {
      show(progress);
    }
  }

  private void show(@Nullable Progress progress) {
    String text = cases + "  " + what;
    if (progress != null && progress.total() > 1) {
      text += ", " + Json.word(progress.phase()) + " " + progress.done() + "/" + progress.total();
    }
    line.say(text.length() > WIDTH ? text.substring(0, WIDTH - 1) + "…" : text);
  }

  /** Returns bar, count, and the time left by the mean of the cases of this run. */
  static String cases(int done, int total, int doneNow, long elapsedNanos) {
    int full = total == 0 ? 0 : (int) ((long) BAR_CELLS * done / total);
    StringBuilder text = new StringBuilder("[");
    text.repeat('#', full).repeat('.', BAR_CELLS - full).append("] ");
    text.append(done).append('/').append(total).append(" cases");
    if (doneNow > 0) {
      double left = elapsedNanos / 1e9 / doneNow * (total - done);
      text.append("  ").append(Units.clock(left)).append(" left");
    }
    return text.toString();
  }
}
