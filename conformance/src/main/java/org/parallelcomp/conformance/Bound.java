package org.parallelcomp.conformance;

import org.parallelcomp.api.tensor.DType;

/**
 * How far a result may be from the oracle's: the squared relative error {@code sum((a - b)²) /
 * sum(b²)} of a whole tensor. No single element may be off by more than {@link #SPREAD} times the
 * root of it, measured by the root mean square of its row or of the tensor, whichever is greater;
 * else one wrong number would hide in a large tensor.
 */
enum Bound {
  /** Moving, selecting, copying, comparing: the same numbers. */
  EXACT(0),
  /** Reading any file type, and sums that are accumulated in double precision. */
  DECODED(1e-13),
  /** Computing in single precision: 1e-5 of the result's size. */
  SINGLE(1e-10),
  /** Attention over F32, whose exponents magnify the error of the products. */
  ATTENTION(1e-8),
  /** Weights of F16, which may be multiplied as such. */
  HALF(1e-6),
  /** Attention over F16, which may be multiplied as such. */
  ATTENTION_HALF(4e-6),
  /** Weights of BF16, which may be multiplied as such: three bits less than F16. */
  BRAIN(1e-5),
  /** Attention over BF16, which may be multiplied as such: 64 times that over F16. */
  ATTENTION_BRAIN(2.56e-4),
  /** Block-quantised weights, for which activations may be rounded to 8 bits. */
  BLOCK(5e-4);

  /** A rounding error is spread about normally; twelve deviations never happen by chance. */
  static final double SPREAD = 12;

  private final double squaredError;

  Bound(double squaredError) {
    this.squaredError = squaredError;
  }

  double squaredError() {
    return squaredError;
  }

  /** Returns the bound of a product with weights of a type. */
  static Bound ofWeights(DType dtype) {
    return switch (dtype) {
      case F32 -> SINGLE;
      case F16 -> HALF;
      case BF16 -> BRAIN;
      default -> BLOCK;
    };
  }

  /** Returns the bound of attention over a cache of a type. */
  static Bound ofCache(DType dtype) {
    return switch (dtype) {
      case F16 -> ATTENTION_HALF;
      case BF16 -> ATTENTION_BRAIN;
      default -> ATTENTION;
    };
  }
}
