package org.parallelcomp.backend.onnx;

import java.lang.foreign.MemorySegment;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Layout;
import org.parallelcomp.api.tensor.Shape;
import org.parallelcomp.api.tensor.Tensor;
import org.parallelcomp.backend.onnx.graph.ElementType;
import org.parallelcomp.backend.onnx.runtime.OrtTensor;

/**
 * A tensor in the host's memory, which the runtime reads and writes in place.
 *
 * @param owner the scope that frees the storage
 * @param storage the bytes; the layout's element 0 is the first
 * @param dtype the element type
 * @param layout where the elements lie in the storage
 */
record OnnxTensor(OnnxMemoryScope owner, MemorySegment storage, DType dtype, Layout layout)
    implements Tensor {
  /** Returns a tensor as this backend's own, whose memory must be there still. */
  static OnnxTensor of(Tensor tensor) {
    if (tensor instanceof OnnxTensor onnx) {
      if (!onnx.storage.scope().isAlive()) {
        throw new InferenceException(
            ErrorCode.INTERNAL,
            "A tensor " + onnx.dtype + onnx.shape() + " is used after its scope was closed.");
      }
      return onnx;
    }
    throw new InferenceException(
        ErrorCode.INTERNAL,
        "The ONNX backend was given a tensor of another backend: "
            + tensor.getClass().getName()
            + ".");
  }

  @Override
  public Tensor slice(int axis, long from, long to) {
    return new OnnxTensor(owner, storage, dtype, layout.slice(axis, from, to));
  }

  @Override
  public Tensor reshape(Shape shape) {
    return new OnnxTensor(owner, storage, dtype, layout.reshape(shape));
  }

  /** Returns the byte in the storage at which the tensor starts. */
  long startByte() {
    return dtype.bytes(layout.offset());
  }

  /** Returns the bytes from the tensor's start on. */
  MemorySegment data() {
    return storage.asSlice(startByte());
  }

  /** Returns the tensor as an argument of a run; it must be contiguous. */
  OrtTensor argument() {
    return argument(shape().toArray());
  }

  /** Returns the tensor as an argument of a run under other extents; it must be contiguous. */
  OrtTensor argument(long... dims) {
    return new OrtTensor(elementType(), data(), dims);
  }

  private ElementType elementType() {
    return switch (dtype) {
      case F32 -> ElementType.FLOAT;
      case I32 -> ElementType.INT32;
      default ->
          throw new InferenceException(
              ErrorCode.UNSUPPORTED_OPERATION,
              "The ONNX backend needs F32 or I32 here, not " + dtype + shape() + ".");
    };
  }
}
