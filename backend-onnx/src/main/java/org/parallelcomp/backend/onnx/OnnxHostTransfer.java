package org.parallelcomp.backend.onnx;

import org.parallelcomp.api.backend.HostTransfer;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Tensor;

/** Copies between tensors and arrays. */
final class OnnxHostTransfer implements HostTransfer {
  @Override
  public void copyFromHost(Tensor target, float[] source) {
    requireWritable(target, source.length);
    Rows rows = Rows.floats(target);
    for (int row = 0; row < rows.count(); row++) {
      rows.write(row, source, row * rows.length());
    }
  }

  @Override
  public void copyFromHost(Tensor target, int[] source) {
    requireWritable(target, source.length);
    Rows rows = Rows.ints(target);
    for (int row = 0; row < rows.count(); row++) {
      rows.write(row, source, row * rows.length());
    }
  }

  @Override
  public float[] copyToHostFloats(Tensor source) {
    return floats(source);
  }

  @Override
  public int[] copyToHostInts(Tensor source) {
    return Rows.ints(source).toInts();
  }

  /** Returns the numbers of a tensor of any floating or block type, in row-major order. */
  static float[] floats(Tensor source) {
    float[] numbers = new float[Math.toIntExact(source.shape().elements())];
    if (source.dtype() == DType.F32) {
      Rows rows = Rows.floats(source);
      for (int row = 0; row < rows.count(); row++) {
        rows.read(row, numbers, row * rows.length());
      }
      return numbers;
    }
    new Unpacker(OnnxTensor.of(source), numbers).unpack(0, source.layout().offset());
    return numbers;
  }

  /** Walks over the axes of a tensor of halves or blocks, whose innermost axis is gapless. */
  private static final class Unpacker {
    private final OnnxTensor source;
    private final float[] numbers;
    private int at;

    Unpacker(OnnxTensor source, float[] numbers) {
      this.source = source;
      this.numbers = numbers;
    }

    void unpack(int axis, long element) {
      int rank = source.shape().rank();
      if (axis >= rank - 1) {
        int length = rank == 0 ? 1 : source.shape().intDim(axis);
        long from = source.dtype().bytes(element);
        WeightBlocks.unpack(source.dtype(), source.storage(), from, length, numbers, at);
        at += length;
        return;
      }
      for (long i = 0; i < source.shape().dim(axis); i++) {
        unpack(axis + 1, element + i * source.layout().stride(axis));
      }
    }
  }

  private static void requireWritable(Tensor target, int length) {
    if (OnnxTensor.of(target).storage().isReadOnly()) {
      throw new InferenceException(
          ErrorCode.INTERNAL, "A tensor that was loaded from a file cannot be overwritten.");
    }
    if (target.shape().elements() != length) {
      throw new InferenceException(
          ErrorCode.INVALID_ARGUMENT,
          length + " numbers do not fill a tensor of shape " + target.shape() + ".");
    }
  }
}
