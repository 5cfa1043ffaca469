package org.parallelcomp.api.tensor;

import java.util.Arrays;
import java.util.stream.Collectors;

/** The extent of a tensor along each axis, outermost first. Immutable; rank 0 is a scalar. */
public final class Shape {
  private final long[] dims;
  private final long elements;

  private Shape(long[] dims) {
    long product = 1;
    for (long dim : dims) {
      if (dim < 0) {
        throw new IllegalArgumentException("negative extent in " + Arrays.toString(dims));
      }
      product = Math.multiplyExact(product, dim);
    }
    this.dims = dims;
    this.elements = product;
  }

  /** Returns the shape with these extents, outermost first. */
  public static Shape of(long... dims) {
    return new Shape(dims.clone());
  }

  /** Returns the number of axes. */
  public int rank() {
    return dims.length;
  }

  /** Returns the extent along an axis; a negative axis counts from the innermost, which is -1. */
  public long dim(int axis) {
    return dims[axis < 0 ? axis + dims.length : axis];
  }

  /** Returns the extent along an axis as an int, which it must fit. */
  public int intDim(int axis) {
    return Math.toIntExact(dim(axis));
  }

  /** Returns the product of all extents. */
  public long elements() {
    return elements;
  }

  /** Returns a copy of the extents. */
  public long[] toArray() {
    return dims.clone();
  }

  /** Returns this shape with one extent replaced. */
  public Shape with(int axis, long extent) {
    long[] changed = dims.clone();
    changed[axis < 0 ? axis + dims.length : axis] = extent;
    return new Shape(changed);
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof Shape shape && Arrays.equals(dims, shape.dims);
  }

  @Override
  public int hashCode() {
    return Arrays.hashCode(dims);
  }

  @Override
  public String toString() {
    return Arrays.stream(dims).mapToObj(Long::toString).collect(Collectors.joining(", ", "[", "]"));
  }
}
