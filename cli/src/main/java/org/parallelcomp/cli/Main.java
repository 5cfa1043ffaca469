package org.parallelcomp.cli;

import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.PrintStream;
import java.nio.charset.Charset;
import java.nio.charset.StandardCharsets;
import org.parallelcomp.cli.Streams.Remembering;

/** The entry point of the parallelcomp command. */
public final class Main {
  private Main() {}

  /** Runs the command and ends the process with its exit status. */
  public static void main(String[] args) {
    var standardOutput = new Remembering(new FileOutputStream(FileDescriptor.out));
    var streams =
        new Streams(
            System.in,
            new PrintStream(standardOutput, false, charset(System.out.charset())),
            new PrintStream(
                new FileOutputStream(FileDescriptor.err), true, charset(System.err.charset())),
            Boolean.getBoolean("parallelcomp.stderr.terminal") || isTerminal());
    int status = new ParallelComp(new RealEngine(), streams).run(args);
    streams.out().flush();
    System.exit(standardOutput.status(status, streams.err()));
  }

  /** A locale that was never set says ASCII; every terminal of today reads UTF-8. */
  private static Charset charset(Charset ofLocale) {
    return ofLocale.equals(StandardCharsets.US_ASCII) ? StandardCharsets.UTF_8 : ofLocale;
  }

  /**
   * Java can only tell whether standard input and output are a terminal; the launcher knows of
   * standard error and says so by a system property.
   */
  private static boolean isTerminal() {
    var console = System.console();
    return console != null && console.isTerminal();
  }
}
