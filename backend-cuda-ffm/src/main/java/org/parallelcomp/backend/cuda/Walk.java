package org.parallelcomp.backend.cuda;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.tensor.Layout;
import org.parallelcomp.api.tensor.Shape;
import org.parallelcomp.backend.cuda.ffi.LaunchArguments;

/**
 * How a kernel finds the elements of its operands from a running index over some extents: the
 * struct {@code Walk} of the kernels. Axes that every operand passes without a gap are joined, so
 * that a plain vector has one axis.
 */
final class Walk {
  /** Most axes after joining. */
  static final int MOST_AXES = 6;

  private static final int MOST_OPERANDS = 4;
  private static final int EXTENTS_AT = 8;
  private static final int STRIDES_AT = EXTENTS_AT + 8 * MOST_AXES;
  private static final int BYTES = STRIDES_AT + 8 * MOST_OPERANDS * MOST_AXES;

  private final long[] extents;
  private final long[][] strides;

  private Walk(long[] extents, long[][] strides) {
    this.extents = extents;
    this.strides = strides;
  }

  /**
   * Returns the walk over a shape.
   *
   * @param strides per operand the stride of each axis, in elements; 0 repeats
   */
  static Walk over(Shape shape, long[]... strides) {
    int axes = 0;
    long[] extents = new long[shape.rank()];
    long[][] joined = new long[strides.length][shape.rank()];
    for (int axis = 0; axis < shape.rank(); axis++) {
      long extent = shape.dim(axis);
      if (extent == 1) {
        continue;
      }
      if (axes > 0 && continues(strides, joined, axes - 1, axis, extent)) {
        extents[axes - 1] *= extent;
      } else {
        extents[axes++] = extent;
      }
      for (int operand = 0; operand < strides.length; operand++) {
        joined[operand][axes - 1] = strides[operand][axis];
      }
    }
    if (axes > MOST_AXES) {
      throw new InferenceException(
          ErrorCode.UNSUPPORTED_OPERATION,
          "The CUDA backend computes on at most "
              + MOST_AXES
              + " axes, not on "
              + shape
              + " with gaps between all of them.");
    }
    for (int operand = 0; operand < strides.length; operand++) {
      joined[operand] = Arrays.copyOf(joined[operand], axes);
    }
    return new Walk(Arrays.copyOf(extents, axes), joined);
  }

  /** Returns whether every operand comes from the joined axis to this one without a gap. */
  private static boolean continues(
      long[][] strides, long[][] joined, int before, int axis, long extent) {
    for (int operand = 0; operand < strides.length; operand++) {
      if (joined[operand][before] != strides[operand][axis] * extent) {
        return false;
      }
    }
    return true;
  }

  /** Returns the strides of a layout. */
  static long[] strides(Layout layout) {
    long[] strides = new long[layout.shape().rank()];
    Arrays.setAll(strides, layout::stride);
    return strides;
  }

  /** Returns the strides of a layout that is repeated to a shape. */
  static long[] broadcast(Layout layout, Shape shape) {
    long[] strides = new long[shape.rank()];
    int missing = shape.rank() - layout.shape().rank();
    for (int axis = missing; axis < shape.rank(); axis++) {
      boolean repeated = layout.shape().dim(axis - missing) == 1 && shape.dim(axis) != 1;
      strides[axis] = repeated ? 0 : layout.stride(axis - missing);
    }
    return strides;
  }

  /** Returns the number of axes after joining. */
  int axes() {
    return extents.length;
  }

  /** Returns the extent of an axis after joining. */
  long extent(int axis) {
    return extents[axis];
  }

  /** Returns the stride of an operand along an axis after joining. */
  long stride(int operand, int axis) {
    return strides[operand][axis];
  }

  /** Adds the struct to the arguments of a launch. */
  LaunchArguments addTo(LaunchArguments arguments) {
    MemorySegment struct = arguments.structure(BYTES);
    // A single element is one axis of extent one.
    struct.set(ValueLayout.JAVA_INT, 0, Math.max(1, extents.length));
    struct.set(ValueLayout.JAVA_LONG, EXTENTS_AT, 1);
    for (int axis = 0; axis < extents.length; axis++) {
      struct.set(ValueLayout.JAVA_LONG, EXTENTS_AT + 8L * axis, extents[axis]);
      for (int operand = 0; operand < strides.length; operand++) {
        struct.set(
            ValueLayout.JAVA_LONG,
            STRIDES_AT + 8L * (operand * MOST_AXES + axis),
            strides[operand][axis]);
      }
    }
    return arguments;
  }
}
