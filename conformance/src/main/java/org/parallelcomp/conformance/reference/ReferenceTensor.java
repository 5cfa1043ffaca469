package org.parallelcomp.conformance.reference;

import java.util.function.LongConsumer;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Layout;
import org.parallelcomp.api.tensor.Shape;
import org.parallelcomp.api.tensor.Tensor;

/**
 * A tensor on the heap.
 *
 * @param storage the elements
 * @param dtype the element type
 * @param layout where they lie in the storage
 */
record ReferenceTensor(ReferenceStorage storage, DType dtype, Layout layout) implements Tensor {
  /** Returns a tensor as the reference backend's own. */
  static ReferenceTensor of(Tensor tensor) {
    if (tensor instanceof ReferenceTensor reference) {
      return reference;
    }
    throw new InferenceException(
        ErrorCode.INTERNAL,
        "The reference backend was given a tensor of another backend: "
            + tensor.getClass().getName()
            + ".");
  }

  /** Returns a copy of the elements of any view in row-major order. */
  static double[] read(Tensor tensor) {
    ReferenceTensor source = of(tensor);
    double[] values = new double[Math.toIntExact(tensor.shape().elements())];
    int[] next = {0};
    source.forEachOffset(at -> values[next[0]++] = source.storage.get(at));
    return values;
  }

  /** Returns a copy of the elements of an I32 tensor in row-major order. */
  static int[] readInts(Tensor tensor) {
    if (tensor.dtype() != DType.I32) {
      throw new InferenceException(
          ErrorCode.INTERNAL, "Expected an I32 tensor, not " + tensor.dtype() + ".");
    }
    double[] values = read(tensor);
    int[] ints = new int[values.length];
    for (int i = 0; i < ints.length; i++) {
      ints[i] = (int) values[i];
    }
    return ints;
  }

  /** Overwrites the elements of any view, given in row-major order, each rounded to the type. */
  static void write(Tensor tensor, double[] values) {
    ReferenceTensor target = of(tensor);
    if (tensor.shape().elements() != values.length) {
      throw new InferenceException(
          ErrorCode.INTERNAL, values.length + " numbers do not fill " + tensor.shape() + ".");
    }
    int[] next = {0};
    target.forEachOffset(at -> target.storage.set(at, values[next[0]++]));
  }

  /** Visits the storage elements in row-major order of the index. */
  private void forEachOffset(LongConsumer action) {
    if (shape().elements() > 0) {
      visit(0, layout.offset(), action);
    }
  }

  private void visit(int axis, long offset, LongConsumer action) {
    if (axis == shape().rank()) {
      action.accept(offset);
      return;
    }
    for (long i = 0; i < shape().dim(axis); i++) {
      visit(axis + 1, offset + i * layout.stride(axis), action);
    }
  }

  @Override
  public Tensor slice(int axis, long from, long to) {
    return new ReferenceTensor(storage, dtype, layout.slice(axis, from, to));
  }

  @Override
  public Tensor reshape(Shape shape) {
    return new ReferenceTensor(storage, dtype, layout.reshape(shape));
  }
}
