package org.parallelcomp.api.backend;

import java.util.List;
import org.parallelcomp.api.cache.TokenSelection;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Shape;
import org.parallelcomp.api.tensor.Tensor;

/**
 * The arithmetic that policies are written in. Each method returns a new contiguous tensor in the
 * scope that the instance was made for; arguments are F32 unless said otherwise and may be views.
 *
 * <p>Binary operations broadcast: extents are aligned at the innermost axis, and an extent of 1 or
 * a missing axis is repeated. A negative axis counts from the innermost, which is -1. Arguments
 * that contradict one another are refused with INVALID_ARGUMENT or INTERNAL, and the same call
 * gives the same bits.
 */
public interface TensorOps {
  /** Returns {@code a + b}. */
  Tensor add(Tensor a, Tensor b);

  /** Returns {@code a - b}. */
  Tensor subtract(Tensor a, Tensor b);

  /** Returns {@code a * b}, element by element. */
  Tensor multiply(Tensor a, Tensor b);

  /** Returns {@code a / b}, element by element. */
  Tensor divide(Tensor a, Tensor b);

  /** Returns {@code factor * a + term}. */
  Tensor affine(Tensor a, float factor, float term);

  /** Returns e to the power of each element. */
  Tensor exp(Tensor a);

  /** Returns the natural logarithm of each element. */
  Tensor log(Tensor a);

  /** Returns the square root of each element. */
  Tensor sqrt(Tensor a);

  /** Returns the sum along an axis, which is removed; accumulated in double precision. */
  Tensor sum(Tensor a, int axis);

  /** Returns the mean along an axis, which is removed; accumulated in double precision. */
  Tensor mean(Tensor a, int axis);

  /** Returns the maximum along an axis, which is removed; NaN if any element is NaN. */
  Tensor max(Tensor a, int axis);

  /** Returns the minimum along an axis, which is removed; NaN if any element is NaN. */
  Tensor min(Tensor a, int axis);

  /**
   * Returns the Euclidean norm along an axis, which is removed; accumulated in double precision.
   */
  Tensor l2Norm(Tensor a, int axis);

  /**
   * Returns the softmax along the innermost axis. Negative infinity gets zero; a line with NaN, or
   * with nothing but negative infinity, is NaN.
   */
  Tensor softmax(Tensor a);

  /**
   * Returns the matrix product over the two innermost axes; leading axes broadcast.
   *
   * <pre>
   * a      [..., rows, inner]
   * b      [..., inner, columns]
   * result [..., rows, columns]
   * </pre>
   */
  Tensor matmul(Tensor a, Tensor b);

  /**
   * Returns the solution x of {@code a x = b} for symmetric positive definite matrices, by the
   * Cholesky decomposition {@code a = L Lᵀ} in double precision; leading axes broadcast. Only the
   * lower triangle of a is read. A matrix with a pivot that is not above zero (not positive
   * definite, or NaN) has NaN as its whole solution; the other matrices are not affected.
   *
   * <pre>
   * a      [..., n, n]
   * b      [..., n, columns]
   * result [..., n, columns]
   * </pre>
   */
  Tensor choleskySolve(Tensor a, Tensor b);

  /** Returns a copy with two axes exchanged; F32 or I32. */
  Tensor transpose(Tensor a, int axis, int otherAxis);

  /**
   * Returns the mean over a centred window along the innermost axis, of unchanged length. What lies
   * outside counts as zero and the divisor is always {@code kernel}, as in SnapKV.
   *
   * @param kernel the window's width in elements, odd
   */
  Tensor averagePool1d(Tensor a, int kernel);

  /**
   * Returns the maximum over a centred window along the innermost axis, of unchanged length. What
   * lies outside does not count. NaN if any element of the window is NaN.
   *
   * @param kernel the window's width in elements, odd
   */
  Tensor maxPool1d(Tensor a, int kernel);

  /** Returns 1 where {@code a > threshold} and 0 elsewhere, also where {@code a} is NaN. */
  Tensor greaterThan(Tensor a, float threshold);

  /** Returns {@code a} where the mask is not 0 and {@code b} elsewhere, with broadcasting. */
  Tensor where(Tensor mask, Tensor a, Tensor b);

  /** Returns a tensor with one value everywhere. */
  Tensor full(Shape shape, float value);

  /**
   * Returns host numbers as a tensor: seeded random numbers, kernels and weights are made in Java,
   * so that every backend computes with the same.
   *
   * @param numbers as many as the shape has elements, in row-major order; not kept
   */
  Tensor constant(Shape shape, float[] numbers);

  /** Returns {@code 0, 1, … count - 1} as F32 of shape {@code [count]}. */
  Tensor range(int count);

  /**
   * Returns the positions of the greatest elements along the innermost axis, in ascending order of
   * position, as I32 {@code [..., count]}. Among equal elements the earlier position wins; NaN
   * ranks below everything.
   *
   * @param count how many, {@code 0 <= count <= } the axis' extent
   */
  Tensor topK(Tensor a, int count);

  /**
   * Returns the position of the greatest element along the innermost axis, as I32 {@code [...]}, by
   * the order of {@link #topK}.
   */
  Tensor argMax(Tensor a);

  /**
   * Returns the elements at given positions along the innermost axis.
   *
   * <pre>
   * a       [..., length]     F32 or I32
   * indices [..., count]      I32, the leading axes equal those of a
   * result  [..., count]      of a's type
   * </pre>
   */
  Tensor gather(Tensor a, Tensor indices);

  /**
   * Returns a copy as F32 of a tensor of F32, F16 or BF16, such as the keys and values of a cache,
   * exactly. Whoever keeps caches in F32 alone need not write it.
   */
  default Tensor floats(Tensor a) {
    if (a.dtype() != DType.F32) {
      throw new InferenceException(
          ErrorCode.UNSUPPORTED_OPERATION, "There are no floats of " + a.dtype() + " here.");
    }
    return concat(List.of(a), 0);
  }

  /** Returns the tensors laid end to end along an axis; all F32 or all I32. */
  Tensor concat(List<Tensor> parts, int axis);

  /**
   * Returns the selection of the positions where a mask is not 0, per head. The lengths cross to
   * the host.
   *
   * @param mask {@code [kvHeads, tokens]}
   */
  TokenSelection selectWhere(Tensor mask);

  /**
   * Returns 1 at the selected positions and 0 elsewhere, {@code [kvHeads, tokens]}: the inverse of
   * {@link #selectWhere}.
   */
  Tensor mask(TokenSelection selection);
}
