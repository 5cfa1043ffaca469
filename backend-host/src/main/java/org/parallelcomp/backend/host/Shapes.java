package org.parallelcomp.backend.host;

import java.util.Arrays;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.tensor.Shape;

/** The shapes of results. */
public final class Shapes {
  private Shapes() {}

  /** Returns the shape to which two are repeated: missing axes and extents of 1 fit any. */
  public static Shape broadcast(Shape a, Shape b) {
    int rank = Math.max(a.rank(), b.rank());
    long[] dims = new long[rank];
    for (int i = 1; i <= rank; i++) {
      long dimA = i <= a.rank() ? a.dim(-i) : 1;
      long dimB = i <= b.rank() ? b.dim(-i) : 1;
      if (dimA != dimB && dimA != 1 && dimB != 1) {
        throw mismatch("broadcasting", a, b);
      }
      dims[rank - i] = dimA == 1 ? dimB : dimA;
    }
    return Shape.of(dims);
  }

  /** Returns the leading axes of matrices: all but the last two. */
  static Shape batch(Shape a, Shape b) {
    return broadcast(leading(a, 2), leading(b, 2));
  }

  /**
   * Returns the product's shape {@code [batch…, m, n]} of {@code [batch…, m, k] [batch…, k, n]}.
   */
  public static Shape product(Shape a, Shape b) {
    if (b.dim(-2) != a.dim(-1)) {
      throw mismatch("matmul", a, b);
    }
    return append(batch(a, b), a.dim(-2), b.dim(-1));
  }

  /** Returns all axes but the last ones. */
  static Shape leading(Shape shape, int less) {
    return Shape.of(Arrays.copyOf(shape.toArray(), shape.rank() - less));
  }

  /** Returns a shape with two more axes behind the last. */
  static Shape append(Shape shape, long rows, long columns) {
    long[] dims = Arrays.copyOf(shape.toArray(), shape.rank() + 2);
    dims[dims.length - 2] = rows;
    dims[dims.length - 1] = columns;
    return Shape.of(dims);
  }

  /** Returns a shape without one of its axes, counted from 0. */
  public static Shape without(Shape shape, int axis) {
    long[] dims = new long[shape.rank() - 1];
    for (int i = 0; i < dims.length; i++) {
      dims[i] = shape.dim(i < axis ? i : i + 1);
    }
    return Shape.of(dims);
  }

  /** Returns the order of the axes in which two have changed places. */
  public static int[] swapped(int rank, int axis, int otherAxis) {
    int[] order = new int[rank];
    Arrays.setAll(order, i -> i);
    int first = axis(axis, rank);
    int second = axis(otherAxis, rank);
    order[first] = second;
    order[second] = first;
    return order;
  }

  /** Returns a shape with its axes in another order. */
  public static Shape permuted(Shape shape, int[] order) {
    long[] dims = new long[order.length];
    Arrays.setAll(dims, i -> shape.dim(order[i]));
    return Shape.of(dims);
  }

  /** Returns an axis counted from 0, which may be given counted from the end by -1, -2, … */
  public static int axis(int axis, int rank) {
    if (axis < -rank || axis >= rank) {
      throw new InferenceException(
          ErrorCode.INVALID_ARGUMENT, "There is no axis " + axis + " among " + rank + ".");
    }
    return axis < 0 ? axis + rank : axis;
  }

  static InferenceException mismatch(String what, Shape a, Shape b) {
    return new InferenceException(
        ErrorCode.INVALID_ARGUMENT,
        "The shapes " + a + " and " + b + " do not fit for " + what + ".");
  }
}
