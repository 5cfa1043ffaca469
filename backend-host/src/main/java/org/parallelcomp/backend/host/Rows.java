package org.parallelcomp.backend.host;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.Arrays;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Layout;
import org.parallelcomp.api.tensor.Shape;
import org.parallelcomp.api.tensor.Tensor;

/**
 * A tensor of 4-byte numbers as rows along its innermost axis, numbered in row-major order. A
 * scalar is one row of one number.
 */
public final class Rows {
  public static final ValueLayout.OfFloat FLOAT =
      ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  public static final ValueLayout.OfInt INT =
      ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  public static final ValueLayout.OfShort SHORT =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  public static final ValueLayout.OfByte BYTE = ValueLayout.JAVA_BYTE;

  private final HostMemory memory;
  private final MemorySegment storage;
  private final long startByte;
  private final long[] outerDims;
  private final long[] outerStrideBytes;
  private final long count;
  private final int length;
  private final long stepBytes;

  private Rows(
      HostMemory memory, MemorySegment storage, long startByte, long[] dims, long[] strideBytes) {
    this.memory = memory;
    this.storage = storage;
    this.startByte = startByte;
    int outer = Math.max(0, dims.length - 1);
    this.outerDims = Arrays.copyOf(dims, outer);
    this.outerStrideBytes = Arrays.copyOf(strideBytes, outer);
    this.length = dims.length == 0 ? 1 : Math.toIntExact(dims[outer]);
    this.stepBytes = dims.length == 0 ? 4 : strideBytes[outer];
    long rows = 1;
    for (long dim : outerDims) {
      rows *= dim;
    }
    this.count = rows;
  }

  static Rows of(HostMemory memory, Tensor tensor, DType dtype) {
    Layout layout = tensor.layout();
    long[] strides = new long[layout.shape().rank()];
    for (int axis = 0; axis < strides.length; axis++) {
      strides[axis] = 4 * layout.stride(axis);
    }
    return of(memory, tensor, dtype, layout.shape().toArray(), strides);
  }

  private static Rows of(
      HostMemory memory, Tensor tensor, DType dtype, long[] dims, long[] strideBytes) {
    HostTensor host = memory.tensor(tensor);
    if (host.dtype() != dtype) {
      throw new InferenceException(
          ErrorCode.INTERNAL,
          "The "
              + memory.backend()
              + " backend needs "
              + dtype
              + " here, not "
              + host.dtype()
              + tensor.shape()
              + ".");
    }
    return new Rows(memory, host.storage(), host.startByte(), dims, strideBytes);
  }

  /**
   * Returns the rows of a tensor repeated to a shape: missing axes and extents of 1 are repeated.
   */
  static Rows broadcast(HostMemory memory, Tensor tensor, Shape shape) {
    Layout layout = tensor.layout();
    int missing = shape.rank() - layout.shape().rank();
    long[] strides = new long[shape.rank()];
    for (int axis = missing; axis < shape.rank(); axis++) {
      long dim = layout.shape().dim(axis - missing);
      strides[axis] = dim == 1 && shape.dim(axis) != 1 ? 0 : 4 * layout.stride(axis - missing);
    }
    return of(memory, tensor, DType.F32, shape.toArray(), strides);
  }

  /** Returns the rows with one axis moved innermost. */
  static Rows along(HostMemory memory, Tensor tensor, int axis) {
    int rank = tensor.shape().rank();
    int[] order = new int[rank];
    int to = 0;
    for (int i = 0; i < rank; i++) {
      if (i != axis) {
        order[to++] = i;
      }
    }
    order[rank - 1] = axis;
    return permuted(memory, tensor, order);
  }

  /** Returns the rows of a tensor with its axes in another order. */
  static Rows permuted(HostMemory memory, Tensor tensor, int[] order) {
    Layout layout = tensor.layout();
    long[] dims = new long[order.length];
    long[] strides = new long[order.length];
    for (int i = 0; i < order.length; i++) {
      dims[i] = layout.shape().dim(order[i]);
      strides[i] = 4 * layout.stride(order[i]);
    }
    return of(memory, tensor, tensor.dtype(), dims, strides);
  }

  /** Returns the number of rows. */
  public long count() {
    return count;
  }

  /** Returns the numbers of a row. */
  public int length() {
    return length;
  }

  /** Returns the memory. */
  public MemorySegment storage() {
    return storage;
  }

  /** Returns the byte at which a row starts. */
  public long byteOf(long row) {
    long at = startByte;
    long rest = row;
    for (int axis = outerDims.length - 1; axis > 0; axis--) {
      at += rest % outerDims[axis] * outerStrideBytes[axis];
      rest /= outerDims[axis];
    }
    return outerDims.length == 0 ? at : at + rest * outerStrideBytes[0];
  }

  /** Copies a row to an array. */
  public void read(long row, float[] to, int at) {
    readPart(row, 0, length, to, at);
  }

  /** Copies a part of a row to an array. */
  public void readPart(long row, int from, int numbers, float[] to, int at) {
    if (numbers == 0) {
      // A tensor without elements has rows, but no memory where they would start.
      return;
    }
    long start = byteOf(row) + from * stepBytes;
    if (stepBytes == 4) {
      MemorySegment.copy(storage, FLOAT, start, to, at, numbers);
    } else {
      for (int i = 0; i < numbers; i++) {
        to[at + i] = storage.get(FLOAT, start + i * stepBytes);
      }
    }
  }

  /** Copies an array to a row. */
  public void write(long row, float[] from, int at) {
    writePart(row, 0, length, from, at);
  }

  /** Copies an array to a part of a row. */
  public void writePart(long row, int to, int numbers, float[] from, int at) {
    if (numbers == 0) {
      return;
    }
    long start = byteOf(row) + to * stepBytes;
    if (stepBytes == 4) {
      MemorySegment.copy(from, at, storage, FLOAT, start, numbers);
    } else {
      for (int i = 0; i < numbers; i++) {
        storage.set(FLOAT, start + i * stepBytes, from[at + i]);
      }
    }
  }

  /** Copies a row of whole numbers to an array. */
  public void read(long row, int[] to, int at) {
    long start = byteOf(row);
    for (int i = 0; i < length; i++) {
      to[at + i] = storage.get(INT, start + i * stepBytes);
    }
  }

  /** Copies an array of whole numbers to a row. */
  public void write(long row, int[] from, int at) {
    long start = byteOf(row);
    for (int i = 0; i < length; i++) {
      storage.set(INT, start + i * stepBytes, from[at + i]);
    }
  }

  /** Returns all numbers in row-major order. */
  public int[] toInts() {
    int[] all = new int[Math.toIntExact(count * length)];
    for (int row = 0; row < count; row++) {
      read(row, all, row * length);
    }
    return all;
  }

  /** Refuses rows with gaps between their numbers. */
  public Rows gapless(String what) {
    if (stepBytes != 4 && length > 1) {
      throw new InferenceException(
          ErrorCode.UNSUPPORTED_OPERATION,
          "The "
              + memory.backend()
              + " backend needs the innermost axis of "
              + what
              + " without gaps.");
    }
    return this;
  }
}
