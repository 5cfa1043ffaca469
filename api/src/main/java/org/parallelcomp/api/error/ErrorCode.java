package org.parallelcomp.api.error;

/** What went wrong, each with the category that says who can mend it. */
public enum ErrorCode {
  /** An argument or setting is out of its range or contradicts another. */
  INVALID_ARGUMENT(ErrorCategory.USER),
  /** A name (backend, policy, preset, parameter) does not exist; the message lists what does. */
  UNKNOWN_NAME(ErrorCategory.USER),
  /** A file that was named does not exist or cannot be read. */
  FILE_NOT_READABLE(ErrorCategory.USER),
  /** A model file is truncated or damaged; the message gives the offset and what was expected. */
  CORRUPT_FILE(ErrorCategory.USER),
  /** The text or question cannot be used: empty, binary, not UTF-8, or too long. */
  INVALID_TEXT(ErrorCategory.USER),
  /** The model's architecture, tensor type or tokenizer is not supported. */
  UNSUPPORTED_MODEL(ErrorCategory.UNSUPPORTED),
  /** A backend does not offer an operation for this type or shape. */
  UNSUPPORTED_OPERATION(ErrorCategory.UNSUPPORTED),
  /** No usable backend, or the chosen one is not usable here. */
  BACKEND_UNAVAILABLE(ErrorCategory.UNSUPPORTED),
  /** The plan needs more memory than there is. */
  OUT_OF_MEMORY(ErrorCategory.RESOURCES),
  /** The device or one of its libraries reported a failure. */
  DEVICE_FAILURE(ErrorCategory.DEVICE),
  /** A broken promise inside this software, a backend or a policy. */
  INTERNAL(ErrorCategory.INTERNAL);

  private final ErrorCategory category;

  ErrorCode(ErrorCategory category) {
    this.category = category;
  }

  /** Returns who can mend it. */
  public ErrorCategory category() {
    return category;
  }
}
