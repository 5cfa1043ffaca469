package org.parallelcomp.cli;

import java.io.PrintStream;
import java.util.Locale;
import java.util.function.LongSupplier;
import org.parallelcomp.engine.Progress;

/**
 * One line that is written over itself: phase, bar, chunks done of all, tokens per second, time
 * left.
 */
final class ProgressLine {
  /** Ten times a second: as fast as eyes want it, too seldom to cost anything. */
  private static final long REDRAW_NANOS = 100_000_000;

  private static final int BAR_CELLS = 16;
  private static final String ERASE = "\r\u001b[K";

  private final PrintStream target;
  private final boolean enabled;
  private final LongSupplier clock;
  private boolean drawn;
  private long drawnNanos;

  ProgressLine(PrintStream target, boolean enabled) {
    this(target, enabled, System::nanoTime);
  }

  ProgressLine(PrintStream target, boolean enabled, LongSupplier clock) {
    this.target = target;
    this.enabled = enabled;
    this.clock = clock;
  }

  /** Shows words until something else is shown. */
  void say(String words) {
    if (enabled) {
      draw(words);
    }
  }

  /** Shows how far a phase has come, unless the last picture is too young. */
  void show(Progress progress) {
    boolean last = progress.done() >= progress.total();
    if (enabled && (last || !drawn || clock.getAsLong() - drawnNanos >= REDRAW_NANOS)) {
      draw(line(progress));
    }
  }

  /** Returns whether the last picture is old enough for another. */
  boolean mayRedraw() {
    return enabled && (!drawn || clock.getAsLong() - drawnNanos >= REDRAW_NANOS);
  }

  /** Leaves an empty line for other output. */
  void clear() {
    if (drawn) {
      target.print(ERASE);
      target.flush();
      drawn = false;
    }
  }

  private void draw(String line) {
    target.print(ERASE + line);
    target.flush();
    drawn = true;
    drawnNanos = clock.getAsLong();
  }

  /** Returns the line for a progress, at most 79 characters wide. */
  static String line(Progress progress) {
    String name = progress.phase().name().toLowerCase(Locale.ROOT);
    int total = Math.max(1, progress.total());
    if (progress.phase() == Progress.Phase.READ || total == 1) {
      return name;
    }
    int full = (int) ((long) BAR_CELLS * progress.done() / total);
    double seconds = progress.elapsedNanos() / 1e9;
    var line = new StringBuilder(name);
    line.append(" [").repeat('#', full).repeat('.', BAR_CELLS - full).append("] ");
    line.append(progress.done()).append('/').append(progress.total());
    line.append(progress.phase() == Progress.Phase.DECODE ? " tokens" : " chunks");
    if (progress.done() > 0 && seconds > 0) {
      double left = seconds / progress.done() * (progress.total() - progress.done());
      line.append(String.format(Locale.ROOT, "  %,.0f tokens/s", progress.tokensDone() / seconds));
      line.append("  ").append(Units.clock(left)).append(" left");
    }
    return line.toString();
  }
}
