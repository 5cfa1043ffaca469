package org.parallelcomp.api.error;

/** Who can do something about an error. The command line maps each category to an exit status. */
public enum ErrorCategory {
  /** The input or a setting is wrong; the caller can correct it. */
  USER,
  /** The request is well formed, but this model, backend or policy cannot serve it. */
  UNSUPPORTED,
  /** Memory or another limited resource does not suffice. */
  RESOURCES,
  /** The device, its driver or its libraries failed. */
  DEVICE,
  /** A fault of this software. */
  INTERNAL
}
