package org.parallelcomp.backend.cpu.vector;

import java.lang.foreign.MemorySegment;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Layout;
import org.parallelcomp.api.tensor.Shape;
import org.parallelcomp.api.tensor.Tensor;

/**
 * A tensor in memory that the processor reaches.
 *
 * @param storage the bytes; the layout's element 0 is the first
 * @param dtype the element type
 * @param layout where the elements lie in the storage
 */
record CpuTensor(MemorySegment storage, DType dtype, Layout layout) implements Tensor {
  /** Returns a tensor as this backend's own, whose memory must be there still. */
  static CpuTensor of(Tensor tensor) {
    if (tensor instanceof CpuTensor cpu) {
      if (!cpu.storage.scope().isAlive()) {
        throw new InferenceException(
            ErrorCode.INTERNAL,
            "A tensor " + cpu.dtype + cpu.shape() + " is used after its scope was closed.");
      }
      return cpu;
    }
    throw new InferenceException(
        ErrorCode.INTERNAL,
        "The CPU backend was given a tensor of another backend: "
            + tensor.getClass().getName()
            + ".");
  }

  @Override
  public Tensor slice(int axis, long from, long to) {
    return new CpuTensor(storage, dtype, layout.slice(axis, from, to));
  }

  @Override
  public Tensor reshape(Shape shape) {
    return new CpuTensor(storage, dtype, layout.reshape(shape));
  }

  /** Returns the byte in the storage at which the tensor starts. */
  long startByte() {
    return dtype.bytes(layout.offset());
  }

  /** Returns the bytes between neighbours along an axis. */
  long strideBytes(int axis) {
    return dtype.bytes(layout.stride(axis));
  }
}
