package org.parallelcomp.conformance.reference;

import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.tensor.DType;

/** Refusals of arguments that do not fit one another: a fault of the caller, which is our code. */
final class Require {
  private Require() {}

  /** Returns whether keys and values may have a type. */
  static boolean isCacheType(DType dtype) {
    return dtype == DType.F32 || dtype == DType.F16 || dtype == DType.BF16;
  }

  /** Refuses a type that an operation is not offered for. */
  static void supported(boolean supported, String operation, DType dtype) {
    if (!supported) {
      throw new InferenceException(
          ErrorCode.UNSUPPORTED_OPERATION,
          "The reference backend has no " + operation + " of " + dtype + ".");
    }
  }
}
