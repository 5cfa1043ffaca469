package org.parallelcomp.conformance.reference;

import java.util.Arrays;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import org.parallelcomp.api.cache.KvLayer;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Tensor;

/** Refusals of arguments that do not fit one another: a fault of the caller, which is our code. */
final class Require {
  private Require() {}

  /** Refuses an operation whose tensors do not fit, with their types and shapes. */
  static void fits(boolean fits, String operation, @Nullable Tensor... tensors) {
    if (!fits) {
      String shown =
          Arrays.stream(tensors)
              .map(t -> t == null ? "nothing" : t.dtype() + " " + t.shape())
              .collect(Collectors.joining(", "));
      throw new InferenceException(
          ErrorCode.INTERNAL, "The tensors do not fit for " + operation + ": " + shown + ".");
    }
  }

  /** Refuses an operation for which a head of a layer has no room. */
  static void room(KvLayer layer, int head, int tokens) {
    if (tokens > layer.capacity(head) - layer.tokens(head)) {
      throw new InferenceException(
          ErrorCode.INTERNAL,
          "Head "
              + head
              + " holds "
              + layer.tokens(head)
              + " of "
              + layer.capacity(head)
              + " tokens and has no room for "
              + tokens
              + " more.");
    }
  }

  /** Refuses what the caller got wrong, in a sentence. */
  static void holds(boolean condition, String sentence) {
    if (!condition) {
      throw new InferenceException(ErrorCode.INTERNAL, sentence);
    }
  }

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
