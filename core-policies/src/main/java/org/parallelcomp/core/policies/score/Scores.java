package org.parallelcomp.core.policies.score;

import java.util.Arrays;
import org.parallelcomp.api.backend.TensorOps;
import org.parallelcomp.api.tensor.Shape;
import org.parallelcomp.api.tensor.Tensor;

/** Steps that several scorers share. */
final class Scores {
  private Scores() {}

  /** Returns the greater of each element and a bound; NaN becomes the bound. */
  static Tensor atLeast(Tensor a, float bound, TensorOps ops) {
    return ops.where(ops.greaterThan(a, bound), a, ops.full(Shape.of(1), bound));
  }

  /** Returns one row of scores for every head, {@code [tokens]} to {@code [heads, tokens]}. */
  static Tensor sameForAllHeads(Tensor row, int heads, TensorOps ops) {
    return ops.add(row, ops.full(Shape.of(heads, 1), 0));
  }

  /** Returns {@code [queryHeads, …]} as {@code [kvHeads, group, …]}. */
  static Tensor grouped(Tensor perQueryHead, int kvHeads) {
    long[] dims = perQueryHead.shape().toArray();
    long[] grouped = new long[dims.length + 1];
    grouped[0] = kvHeads;
    grouped[1] = dims[0] / kvHeads;
    System.arraycopy(dims, 1, grouped, 2, dims.length - 1);
    return perQueryHead.reshape(Shape.of(grouped));
  }

  /** Returns vectors of length 1 along the innermost axis; those shorter than 1e-12 stay short. */
  static Tensor unit(Tensor a, TensorOps ops) {
    return ops.divide(a, columns(atLeast(ops.l2Norm(a, -1), 1e-12f, ops)));
  }

  /** Returns the view of a tensor with an innermost axis of extent 1. */
  static Tensor columns(Tensor a) {
    long[] dims = Arrays.copyOf(a.shape().toArray(), a.shape().rank() + 1);
    dims[dims.length - 1] = 1;
    return a.reshape(Shape.of(dims));
  }

  /** Returns the view of {@code [heads, x]} as {@code [heads, 1, x]}. */
  static Tensor rows(Tensor a) {
    return a.reshape(Shape.of(a.shape().dim(0), 1, a.shape().dim(1)));
  }

  /** Returns a multiple of the identity matrix, {@code [dims, dims]}. */
  static Tensor identity(int dims, float diagonal, TensorOps ops) {
    float[] numbers = new float[dims * dims];
    for (int i = 0; i < dims; i++) {
      numbers[i * dims + i] = diagonal;
    }
    return ops.constant(Shape.of(dims, dims), numbers);
  }
}
