package org.parallelcomp.api.tensor;

import java.util.Arrays;
import java.util.Objects;

/**
 * Where the elements of a tensor lie in its storage: an offset and a stride per axis, all counted
 * in elements and held as long. It owns every offset computation, so that no other code multiplies
 * strides.
 *
 * <p>For block types ({@link DType#isBlock()}) the innermost axis must stay whole, since a block
 * cannot be cut.
 */
public final class Layout {
  private final Shape shape;
  private final long offset;
  private final long[] strides;

  private Layout(Shape shape, long offset, long[] strides) {
    this.shape = shape;
    this.offset = offset;
    this.strides = strides;
  }

  /** Returns the dense row-major layout of a shape, starting at element 0. */
  public static Layout contiguous(Shape shape) {
    return new Layout(shape, 0, denseStrides(shape));
  }

  private static long[] denseStrides(Shape shape) {
    long[] strides = new long[shape.rank()];
    long stride = 1;
    for (int axis = shape.rank() - 1; axis >= 0; axis--) {
      strides[axis] = stride;
      stride *= Math.max(1, shape.dim(axis));
    }
    return strides;
  }

  /** Returns the extents. */
  public Shape shape() {
    return shape;
  }

  /** Returns the element at which the tensor starts in its storage. */
  public long offset() {
    return offset;
  }

  /** Returns the distance in elements between neighbours along an axis; -1 is the innermost. */
  public long stride(int axis) {
    return strides[axis < 0 ? axis + strides.length : axis];
  }

  /** Returns the storage element of an index, one number per axis. */
  public long offset(long... index) {
    long at = offset;
    for (int axis = 0; axis < index.length; axis++) {
      at += Objects.checkIndex(index[axis], shape.dim(axis)) * strides[axis];
    }
    return at;
  }

  /** Returns the number of rows: of index tuples over all axes but the innermost. */
  public long rows() {
    long rows = 1;
    for (int axis = 0; axis < shape.rank() - 1; axis++) {
      rows *= shape.dim(axis);
    }
    return rows;
  }

  /**
   * Returns the storage element of a row's first number. Its others follow at the distance {@code
   * stride(-1)}.
   *
   * @param row the row, in row-major order of the index
   */
  public long rowOffset(long row) {
    long at = offset;
    long rest = row;
    for (int axis = shape.rank() - 2; axis >= 0; axis--) {
      at += rest % shape.dim(axis) * strides[axis];
      rest /= shape.dim(axis);
    }
    return at;
  }

  /** Returns whether the elements lie without gaps in row-major order. */
  public boolean isContiguous() {
    long stride = 1;
    for (int axis = shape.rank() - 1; axis >= 0; axis--) {
      if (shape.dim(axis) != 1 && strides[axis] != stride) {
        return false;
      }
      stride *= shape.dim(axis);
    }
    return true;
  }

  /** Returns the layout of the part {@code [from, to)} along an axis. */
  public Layout slice(int axis, long from, long to) {
    int a = axis < 0 ? axis + shape.rank() : axis;
    Objects.checkFromToIndex(from, to, shape.dim(a));
    return new Layout(shape.with(a, to - from), offset + from * strides[a], strides);
  }

  /**
   * Returns the layout of the same elements under another shape.
   *
   * @throws IllegalArgumentException if the number of elements differs, or an axis would have to be
   *     joined across a gap
   */
  public Layout reshape(Shape target) {
    if (target.elements() != shape.elements()) {
      throw new IllegalArgumentException("cannot view " + shape + " as " + target);
    }
    if (isContiguous()) {
      return new Layout(target, offset, denseStrides(target));
    }
    return new Layout(target, offset, stridesAcrossGaps(target));
  }

  /**
   * Returns the layout with its axes in another order.
   *
   * @param axes which old axis each new one is, outermost first
   */
  public Layout permute(int... axes) {
    long[] dims = new long[axes.length];
    long[] permuted = new long[axes.length];
    for (int axis = 0; axis < axes.length; axis++) {
      dims[axis] = shape.dim(axes[axis]);
      permuted[axis] = strides[axes[axis]];
    }
    return new Layout(Shape.of(dims), offset, permuted);
  }

  /**
   * Returns the layout in which extents of 1 and missing outer axes are repeated, without moving
   * any element: the distance between the repetitions is 0.
   *
   * @param target a shape with the same extents, aligned at the innermost axis, but where they are
   *     1
   * @throws IllegalArgumentException if the extents differ
   */
  public Layout broadcast(Shape target) {
    long[] repeated = new long[target.rank()];
    int added = target.rank() - shape.rank();
    for (int axis = 0; axis < shape.rank(); axis++) {
      if (added < 0 || (shape.dim(axis) != 1 && shape.dim(axis) != target.dim(added + axis))) {
        throw new IllegalArgumentException("cannot repeat " + shape + " to " + target);
      }
      repeated[added + axis] = shape.dim(axis) == 1 ? 0 : strides[axis];
    }
    return new Layout(target, offset, repeated);
  }

  /** Matches groups of old axes to groups of new ones; a group may only join gapless axes. */
  private long[] stridesAcrossGaps(Shape target) {
    long[] result = new long[target.rank()];
    int from = 0;
    int to = 0;
    while (from < shape.rank() || to < target.rank()) {
      long fromProduct = from < shape.rank() ? shape.dim(from) : 1;
      long toProduct = to < target.rank() ? target.dim(to) : 1;
      int fromEnd = Math.min(from + 1, shape.rank());
      int toEnd = Math.min(to + 1, target.rank());
      while (fromProduct != toProduct) {
        if (fromProduct < toProduct) {
          fromProduct *= shape.dim(fromEnd++);
        } else {
          toProduct *= target.dim(toEnd++);
        }
      }
      for (int axis = from; axis < fromEnd - 1; axis++) {
        if (strides[axis] != strides[axis + 1] * shape.dim(axis + 1)) {
          throw new IllegalArgumentException(
              "cannot view " + this + " as " + target + " without a copy");
        }
      }
      long stride = fromEnd > from ? strides[fromEnd - 1] : 1;
      for (int axis = toEnd - 1; axis >= to; axis--) {
        result[axis] = stride;
        stride *= target.dim(axis);
      }
      from = fromEnd;
      to = toEnd;
    }
    return result;
  }

  @Override
  public String toString() {
    return shape + " at " + offset + " with strides " + Arrays.toString(strides);
  }
}
