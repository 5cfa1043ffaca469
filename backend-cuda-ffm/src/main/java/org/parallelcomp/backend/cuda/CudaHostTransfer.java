package org.parallelcomp.backend.cuda;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.parallelcomp.api.backend.HostTransfer;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Layout;
import org.parallelcomp.api.tensor.Tensor;
import org.parallelcomp.backend.cuda.ffi.DeviceMemory;

/** Copies between the device and arrays. Copies to the host wait for all work before them. */
final class CudaHostTransfer implements HostTransfer {
  private final CudaRuntime runtime;
  private final Moves moves;

  CudaHostTransfer(CudaRuntime runtime, Moves moves) {
    this.runtime = runtime;
    this.moves = moves;
  }

  @Override
  public void copyFromHost(Tensor target, float[] source) {
    requireLength(target, source.length);
    try (Arena arena = Arena.ofConfined()) {
      upload(CudaTensor.floats(target), arena.allocateFrom(ValueLayout.JAVA_FLOAT, source));
    }
  }

  @Override
  public void copyFromHost(Tensor target, int[] source) {
    requireLength(target, source.length);
    try (Arena arena = Arena.ofConfined()) {
      upload(CudaTensor.of(target, DType.I32), arena.allocateFrom(ValueLayout.JAVA_INT, source));
    }
  }

  private void upload(CudaTensor target, MemorySegment source) {
    if (target.readOnly()) {
      throw new InferenceException(
          ErrorCode.INTERNAL, "A tensor of a file cannot be overwritten: " + target.layout() + ".");
    }
    if (target.layout().isContiguous()) {
      runtime.stream().upload(target.address(), source);
      return;
    }
    try (DeviceMemory dense = runtime.temporary(source)) {
      moves.copy(target, new CudaTensor(dense, target.dtype(), Layout.contiguous(target.shape())));
    }
  }

  @Override
  public float[] copyToHostFloats(Tensor source) {
    CudaTensor tensor = CudaTensor.of(source);
    if (tensor.dtype() == DType.I32) {
      throw new InferenceException(
          ErrorCode.INTERNAL, "A tensor of whole numbers was asked for floats.");
    }
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment host = arena.allocate(ValueLayout.JAVA_FLOAT, source.shape().elements());
      if (tensor.dtype() == DType.F32 && tensor.layout().isContiguous()) {
        runtime.stream().download(host, tensor.address());
      } else {
        CudaTensor floats = moves.toFloats(tensor);
        try (DeviceMemory dense = floats.storage()) {
          runtime.stream().download(host, dense.address());
        }
      }
      return host.toArray(ValueLayout.JAVA_FLOAT);
    }
  }

  @Override
  public int[] copyToHostInts(Tensor source) {
    CudaTensor tensor = CudaTensor.of(source, DType.I32);
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment host = arena.allocate(ValueLayout.JAVA_INT, source.shape().elements());
      if (tensor.layout().isContiguous()) {
        runtime.stream().download(host, tensor.address());
      } else {
        try (DeviceMemory dense = runtime.temporary(4 * source.shape().elements())) {
          moves.copy(new CudaTensor(dense, DType.I32, Layout.contiguous(source.shape())), tensor);
          runtime.stream().download(host, dense.address());
        }
      }
      return host.toArray(ValueLayout.JAVA_INT);
    }
  }

  private static void requireLength(Tensor target, int length) {
    if (target.shape().elements() != length) {
      throw new InferenceException(
          ErrorCode.INVALID_ARGUMENT,
          length + " numbers do not fill a tensor of shape " + target.shape() + ".");
    }
  }
}
