package org.parallelcomp.cli;

import org.parallelcomp.api.error.ErrorCategory;

/** What the process returns. */
final class ExitStatus {
  /** Two results that should be equal are not. */
  static final int DIFFERENT = 1;

  /** 128 plus the number of the interrupt signal, as shells expect it. */
  static final int INTERRUPTED = 130;

  /** 128 plus the number of the broken-pipe signal. */
  static final int BROKEN_PIPE = 141;

  private ExitStatus() {}

  static int of(ErrorCategory category) {
    return switch (category) {
      case USER -> 2;
      case UNSUPPORTED -> 3;
      case RESOURCES -> 4;
      case DEVICE -> 5;
      // EX_SOFTWARE of sysexits.h
      case INTERNAL -> 70;
    };
  }
}
