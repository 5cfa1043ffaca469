package org.parallelcomp.conformance.reference;

import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.tensor.DType;

/**
 * The elements of a tensor and of all its views. Every value of every type is exact as a double, so
 * one array serves all; block types are decoded when they are loaded and cannot be written.
 */
final class ReferenceStorage {
  private final ReferenceScope scope;
  private final DType dtype;
  private final double[] elements;
  private final boolean readOnly;

  ReferenceStorage(ReferenceScope scope, DType dtype, double[] elements, boolean readOnly) {
    this.scope = scope;
    this.dtype = dtype;
    this.elements = elements;
    this.readOnly = readOnly;
  }

  double get(long element) {
    scope.requireOpen();
    return elements[Math.toIntExact(element)];
  }

  void set(long element, double value) {
    scope.requireOpen();
    if (readOnly) {
      throw new InferenceException(ErrorCode.INTERNAL, "A loaded tensor cannot be written.");
    }
    elements[Math.toIntExact(element)] = rounded(value);
  }

  /** Rounds to the nearest number of the element type. */
  private double rounded(double value) {
    return switch (dtype) {
      case F32 -> (float) value;
      case F16 -> Float.float16ToFloat(Float.floatToFloat16((float) value));
      case BF16 -> bfloat16((float) value);
      case I32 -> (int) value;
      default ->
          throw new InferenceException(
              ErrorCode.UNSUPPORTED_OPERATION, "Numbers cannot be written as " + dtype + ".");
    };
  }

  private static float bfloat16(float value) {
    if (Float.isNaN(value)) {
      return value;
    }
    int bits = Float.floatToRawIntBits(value);
    // To the nearest, of two equally near to the even one.
    return Float.intBitsToFloat((bits + 0x7FFF + ((bits >>> 16) & 1)) & 0xFFFF0000);
  }
}
