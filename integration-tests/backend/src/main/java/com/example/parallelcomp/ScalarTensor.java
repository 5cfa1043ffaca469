package com.example.parallelcomp;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.stream.Stream;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Layout;
import org.parallelcomp.api.tensor.Shape;
import org.parallelcomp.api.tensor.Tensor;

/**
 * A view of bytes that a scope owns.
 *
 * @param scope the owner
 * @param bytes the storage, shared by all views of it
 * @param dtype what the bytes mean
 * @param layout which elements of the storage are seen, and in which order
 */
record ScalarTensor(ScalarScope scope, MemorySegment bytes, DType dtype, Layout layout)
    implements Tensor {
  @Override
  public Tensor slice(int axis, long from, long to) {
    return view(layout.slice(axis, from, to));
  }

  @Override
  public Tensor reshape(Shape shape) {
    return view(layout.reshape(shape));
  }

  ScalarTensor view(Layout other) {
    return new ScalarTensor(scope, bytes, dtype, other);
  }

  /** Returns a tensor as one of ours whose scope is open. */
  static ScalarTensor of(Tensor tensor) {
    if (tensor instanceof ScalarTensor ours) {
      ours.scope.requireOpen();
      return ours;
    }
    throw new InferenceException(ErrorCode.INTERNAL, "A tensor of another backend was given.");
  }

  /** Returns a copy of the numbers: one array for each row along the innermost axis. */
  static double[][] rows(Tensor tensor) {
    ScalarTensor source = of(tensor);
    double[][] rows = new double[Math.toIntExact(source.layout.rows())][source.rowLength()];
    for (int row = 0; row < rows.length; row++) {
      long at = source.layout.rowOffset(row);
      for (int i = 0; i < rows[row].length; i++) {
        rows[row][i] = Elements.read(source.bytes, source.dtype, at + i * source.distance());
      }
    }
    return rows;
  }

  /** Returns a copy of the numbers in row-major order. */
  static double[] numbers(Tensor tensor) {
    return Stream.of(rows(tensor)).flatMapToDouble(Arrays::stream).toArray();
  }

  /** Returns a copy of whole numbers in row-major order. */
  static int[] integers(Tensor tensor) {
    if (tensor.dtype() != DType.I32) {
      throw new InferenceException(ErrorCode.INTERNAL, tensor.dtype() + " are no integers.");
    }
    return Arrays.stream(numbers(tensor)).mapToInt(x -> (int) x).toArray();
  }

  /** Overwrites all numbers, given in row-major order; each is rounded to the tensor's type. */
  static void write(Tensor tensor, double[] numbers) {
    ScalarTensor target = of(tensor);
    if (target.bytes.isReadOnly() || numbers.length != target.shape().elements()) {
      throw new InferenceException(
          ErrorCode.INTERNAL,
          numbers.length
              + " numbers cannot be written to "
              + tensor.dtype()
              + tensor.shape()
              + ".");
    }
    int next = 0;
    for (long row = 0; row < target.layout.rows(); row++) {
      long at = target.layout.rowOffset(row);
      for (int i = 0; i < target.rowLength(); i++) {
        Elements.write(target.bytes, target.dtype, at + i * target.distance(), numbers[next++]);
      }
    }
  }

  /** Overwrites all numbers, given row by row. */
  static void write(Tensor tensor, double[][] rows) {
    write(tensor, Stream.of(rows).flatMapToDouble(Arrays::stream).toArray());
  }

  private int rowLength() {
    return shape().rank() == 0 ? 1 : shape().intDim(-1);
  }

  /** The distance between neighbours in a row. */
  private long distance() {
    return shape().rank() == 0 ? 1 : layout.stride(-1);
  }
}
