package org.parallelcomp.cli;

import java.io.FilterOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.PrintStream;
import org.jspecify.annotations.Nullable;
import org.parallelcomp.api.error.ErrorCategory;

/**
 * Where a command reads and writes.
 *
 * @param in standard input
 * @param out standard output: answers and tables
 * @param err standard error: progress, warnings and errors
 * @param errIsTerminal whether somebody watches standard error
 */
record Streams(InputStream in, PrintStream out, PrintStream err, boolean errIsTerminal) {
  /** Remembers why writing failed, which a {@link PrintStream} forgets. */
  static final class Remembering extends FilterOutputStream {
    private @Nullable IOException failure;

    Remembering(OutputStream target) {
      super(target);
    }

    @Override
    public void write(int b) throws IOException {
      write(new byte[] {(byte) b}, 0, 1);
    }

    @Override
    public void write(byte[] bytes, int offset, int length) throws IOException {
      try {
        out.write(bytes, offset, length);
      } catch (IOException e) {
        failure = e;
        throw e;
      }
    }

    /**
     * Returns the exit status of a command whose output went here. A reader that went away, as
     * {@code head} does, needs no message.
     */
    int status(int ofCommand, PrintStream err) {
      if (failure == null) {
        return ofCommand;
      }
      String reason = String.valueOf(failure.getMessage());
      if (reason.contains("Broken pipe") || reason.contains("pipe is being closed")) {
        return ExitStatus.BROKEN_PIPE;
      }
      err.println("parallelcomp: Cannot write to standard output: " + reason + ".");
      return ExitStatus.of(ErrorCategory.RESOURCES);
    }
  }
}
