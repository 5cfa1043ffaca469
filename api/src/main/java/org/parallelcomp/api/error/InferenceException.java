package org.parallelcomp.api.error;

import org.jspecify.annotations.Nullable;

/** The one exception of the framework: a code, and one sentence that says what to do. */
public final class InferenceException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  private final ErrorCode code;

  /** Creates an exception whose message is one clear sentence for the user. */
  public InferenceException(ErrorCode code, String message) {
    this(code, message, null);
  }

  /** Creates an exception with the failure that lies behind it. */
  public InferenceException(ErrorCode code, String message, @Nullable Throwable cause) {
    super(message, cause);
    this.code = code;
  }

  /** Returns what went wrong. */
  public ErrorCode code() {
    return code;
  }

  /** Returns who can mend it. */
  public ErrorCategory category() {
    return code.category();
  }
}
