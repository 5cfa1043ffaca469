package org.parallelcomp.backend.onnx;

import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.backend.host.HostTensor;
import org.parallelcomp.backend.onnx.graph.ElementType;
import org.parallelcomp.backend.onnx.runtime.OrtTensor;

/** Tensors as arguments of a run: the runtime reads and writes their memory in place. */
final class OrtArguments {
  private OrtArguments() {}

  /** Returns a contiguous tensor as an argument. */
  static OrtTensor argument(HostTensor tensor) {
    return argument(tensor, tensor.shape().toArray());
  }

  /** Returns a contiguous tensor as an argument under other extents. */
  static OrtTensor argument(HostTensor tensor, long... dims) {
    ElementType type =
        switch (tensor.dtype()) {
          case F32 -> ElementType.FLOAT;
          case I32 -> ElementType.INT32;
          default ->
              throw new InferenceException(
                  ErrorCode.UNSUPPORTED_OPERATION,
                  "The ONNX backend needs F32 or I32 here, not "
                      + tensor.dtype()
                      + tensor.shape()
                      + ".");
        };
    return new OrtTensor(type, tensor.data(), dims);
  }
}
