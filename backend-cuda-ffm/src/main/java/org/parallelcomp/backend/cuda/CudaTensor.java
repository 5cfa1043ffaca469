package org.parallelcomp.backend.cuda;

import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Layout;
import org.parallelcomp.api.tensor.Shape;
import org.parallelcomp.api.tensor.Tensor;
import org.parallelcomp.backend.cuda.ffi.DeviceMemory;

/**
 * A tensor in the device's memory.
 *
 * @param storage the memory; the layout's element 0 is its first
 * @param dtype the element type
 * @param layout where the elements lie in the storage
 * @param readOnly whether it came from a file, whose numbers requests share
 */
record CudaTensor(DeviceMemory storage, DType dtype, Layout layout, boolean readOnly)
    implements Tensor {
  /** Creates a tensor that may be written. */
  CudaTensor(DeviceMemory storage, DType dtype, Layout layout) {
    this(storage, dtype, layout, false);
  }

  /** Returns a tensor as this backend's own. */
  static CudaTensor of(Tensor tensor) {
    if (tensor instanceof CudaTensor cuda) {
      return cuda;
    }
    throw new InferenceException(
        ErrorCode.INTERNAL,
        "The CUDA backend was given a tensor of another backend: "
            + tensor.getClass().getName()
            + ".");
  }

  /** Returns a tensor of a type as this backend's own. */
  static CudaTensor of(Tensor tensor, DType dtype) {
    CudaTensor cuda = of(tensor);
    if (cuda.dtype != dtype) {
      throw new InferenceException(
          ErrorCode.INTERNAL,
          "The CUDA backend needs " + dtype + " here, not " + cuda.dtype + tensor.shape() + ".");
    }
    return cuda;
  }

  /** Returns an F32 tensor as this backend's own. */
  static CudaTensor floats(Tensor tensor) {
    return of(tensor, DType.F32);
  }

  /** Returns an I32 tensor as this backend's own, which must have no gaps. */
  static CudaTensor ints(Tensor tensor) {
    return of(tensor, DType.I32).contiguous("whole numbers");
  }

  @Override
  public CudaTensor slice(int axis, long from, long to) {
    return new CudaTensor(storage, dtype, layout.slice(axis, from, to), readOnly);
  }

  @Override
  public CudaTensor reshape(Shape shape) {
    return new CudaTensor(storage, dtype, layout.reshape(shape), readOnly);
  }

  /** Returns the address of the first element. */
  long address() {
    return storage.address() + dtype.bytes(layout.offset());
  }

  /** Returns the elements from one index to the next along an axis. */
  long stride(int axis) {
    return layout.stride(axis);
  }

  /** Returns whether the innermost axis has no gaps. */
  boolean isGapless() {
    return shape().rank() == 0 || shape().dim(-1) <= 1 || layout.stride(-1) == 1;
  }

  /** Refuses a tensor with gaps between its innermost elements. */
  CudaTensor gapless(String what) {
    if (!isGapless()) {
      throw new InferenceException(
          ErrorCode.UNSUPPORTED_OPERATION,
          "The CUDA backend needs the innermost axis of " + what + " without gaps.");
    }
    return this;
  }

  /** Refuses a tensor with gaps anywhere. */
  CudaTensor contiguous(String what) {
    if (!layout.isContiguous()) {
      throw new InferenceException(
          ErrorCode.UNSUPPORTED_OPERATION,
          "The CUDA backend needs " + what + " without gaps, not " + layout + ".");
    }
    return this;
  }

  /** Returns this tensor as a matrix: all axes but the innermost joined to rows. */
  CudaTensor matrix() {
    long columns = shape().rank() == 0 ? 1 : shape().dim(-1);
    long rows = columns == 0 ? 0 : shape().elements() / columns;
    return reshape(Shape.of(rows, columns)).gapless("a matrix");
  }
}
