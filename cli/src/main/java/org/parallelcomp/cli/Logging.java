package org.parallelcomp.cli;

import java.io.PrintStream;
import java.util.Locale;
import java.util.logging.Handler;
import java.util.logging.Level;
import java.util.logging.LogRecord;
import java.util.logging.Logger;
import java.util.logging.SimpleFormatter;

/** Sends what libraries log to standard error, a line each. */
final class Logging extends Handler {
  /** Held strongly: java.logging forgets the level of a logger that nobody holds. */
  private static final Logger OWN = Logger.getLogger("org.parallelcomp");

  private final PrintStream target;
  private final SimpleFormatter formatter = new SimpleFormatter();

  private Logging(PrintStream target) {
    this.target = target;
  }

  /** Makes warnings heard, or with {@code verbose} all that this project's own classes say. */
  static void bind(PrintStream target, boolean verbose) {
    Logger root = Logger.getLogger("");
    for (Handler handler : root.getHandlers()) {
      root.removeHandler(handler);
    }
    var handler = new Logging(target);
    handler.setLevel(Level.ALL);
    root.addHandler(handler);
    root.setLevel(verbose ? Level.INFO : Level.WARNING);
    OWN.setLevel(verbose ? Level.FINE : Level.WARNING);
  }

  @Override
  public void publish(LogRecord entry) {
    if (!isLoggable(entry)) {
      return;
    }
    String message = formatter.formatMessage(entry).strip().replaceAll("\\s*\\R\\s*", " ");
    String cause = entry.getThrown() == null ? "" : " (" + entry.getThrown() + ")";
    String level = entry.getLevel().getName().toLowerCase(Locale.ROOT);
    target.println("parallelcomp: " + level + ": " + message + cause);
  }

  @Override
  public void flush() {
    target.flush();
  }

  @Override
  public void close() {}
}
