package org.parallelcomp.conformance;

import org.parallelcomp.api.tensor.DType;

/**
 * How far a result may be from the oracle's: the squared relative error {@code sum((a - b)²) /
 * sum(b²)} of a whole tensor. No single element may be off by more than {@link #SPREAD} times the
 * root of it, measured by the root mean square of its row or of the tensor, whichever is greater;
 * else one wrong number would hide in a large tensor.
 *
 * <p>The bounds of 16-bit types follow from the unit roundoff u, half the distance of 1 to the next
 * number: 2⁻¹¹ for F16, 2⁻⁸ for BF16. Rounding to nearest moves a number by at most u of its size,
 * so n roundings of a result and of all that it is a sum of move it by n u where they all fall to
 * the same side, as they may where the sum has one term. Sums of many terms stay far below.
 *
 * <ul>
 *   <li>A product may round its activations and its result, n = 2. A rotated key is rounded once,
 *       and so is the oracle's; the two may be neighbours, which are 2 u apart.
 *   <li>Attention may round queries, probabilities and result. Rounding a query moves its products
 *       by u of their size, which the exponent makes a relative error of the probabilities; over
 *       the kit's data the products' root mean square is 3, and errors of their many terms fall to
 *       either side, so this counts for two: n = 4.
 * </ul>
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
  /** Weights of F16, which may be multiplied as such: (2 u)², rounded up. */
  HALF(1e-6),
  /** Attention over F16, which may be multiplied as such: (4 u)², rounded up. */
  ATTENTION_HALF(4e-6),
  /** Weights of BF16: three bits less than F16, so 64 times its bound. */
  BRAIN(6.4e-5),
  /** Attention over BF16: 64 times the bound of that over F16. */
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

  /** Returns the bound of keys of a type that were rotated once more. */
  static Bound ofRotated(DType dtype) {
    return switch (dtype) {
      case F16 -> HALF;
      case BF16 -> BRAIN;
      default -> SINGLE;
    };
  }
}
