package org.parallelcomp.engine.generate;

import org.parallelcomp.engine.Cancellation;

/** Unwinds a cancelled request to the place that reports it; every scope on the way is closed. */
final class RequestCancelled extends RuntimeException {
  private static final long serialVersionUID = 1L;

  private RequestCancelled() {
    super("cancelled", null, false, false);
  }

  /** Throws if the request was cancelled. */
  static void check(Cancellation cancellation) {
    if (cancellation.isCancelled()) {
      throw new RequestCancelled();
    }
  }
}
