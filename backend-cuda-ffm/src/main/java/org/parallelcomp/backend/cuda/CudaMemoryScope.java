package org.parallelcomp.backend.cuda;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.parallelcomp.api.backend.MemoryScope;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Layout;
import org.parallelcomp.api.tensor.Shape;
import org.parallelcomp.backend.cuda.ffi.DeviceMemory;

/**
 * Memory of the device, given back to its pool when the scope closes. Giving back waits for
 * nothing: it takes its turn in the stream behind the work that was put there before.
 */
final class CudaMemoryScope implements MemoryScope {
  private final CudaRuntime runtime;
  private final String name;
  private final @Nullable CudaMemoryScope parent;
  private final List<DeviceMemory> own = new ArrayList<>();
  private final Set<CudaMemoryScope> children = new HashSet<>();
  private long ownBytes;
  private boolean closed;

  CudaMemoryScope(CudaRuntime runtime, String name, @Nullable CudaMemoryScope parent) {
    this.runtime = runtime;
    this.name = name;
    this.parent = parent;
  }

  /** Returns a scope as this backend's own. */
  static CudaMemoryScope of(MemoryScope scope) {
    if (scope instanceof CudaMemoryScope cuda) {
      return cuda;
    }
    throw new InferenceException(
        ErrorCode.INTERNAL, "The CUDA backend was given a scope of another backend.");
  }

  @Override
  public CudaTensor allocate(DType dtype, Shape shape) {
    CudaTensor tensor = allocateUndefined(dtype, shape);
    runtime.stream().clear(tensor.address(), dtype.bytes(shape.elements()));
    return tensor;
  }

  /** Allocates a tensor that is written before it is read. */
  synchronized CudaTensor allocateUndefined(DType dtype, Shape shape) {
    requireOpen();
    try {
      long bytes = dtype.bytes(shape.elements());
      requireSomeDeviceCouldHold(bytes);
      DeviceMemory memory = DeviceMemory.allocate(runtime.stream(), bytes);
      own.add(memory);
      ownBytes += bytes;
      return new CudaTensor(memory, dtype, Layout.contiguous(shape));
    } catch (InferenceException e) {
      if (e.code() == ErrorCode.OUT_OF_MEMORY) {
        throw new InferenceException(
            ErrorCode.OUT_OF_MEMORY,
            "No memory for a tensor " + dtype + shape + " in scope " + name + ": " + e.getMessage(),
            e);
      }
      throw e;
    } catch (ArithmeticException e) {
      throw new InferenceException(
          ErrorCode.OUT_OF_MEMORY,
          "A tensor " + dtype + shape + " has more bytes than can be counted.",
          e);
    }
  }

  /** Spares the driver a request that empties its pool in vain. */
  private void requireSomeDeviceCouldHold(long bytes) {
    long total = runtime.context().device().totalBytes();
    if (bytes > total) {
      throw new InferenceException(
          ErrorCode.OUT_OF_MEMORY, bytes + " bytes are more than the device's " + total + ".");
    }
  }

  /** Gives back a tensor of this scope before the scope closes. */
  synchronized void free(CudaTensor tensor) {
    if (own.remove(tensor.storage())) {
      ownBytes -= tensor.dtype().bytes(tensor.shape().elements());
      tensor.storage().close();
    }
  }

  @Override
  public synchronized CudaMemoryScope child(String childName) {
    requireOpen();
    var child = new CudaMemoryScope(runtime, name + "/" + childName, this);
    children.add(child);
    return child;
  }

  @Override
  public synchronized long allocatedBytes() {
    return ownBytes + children.stream().mapToLong(CudaMemoryScope::allocatedBytes).sum();
  }

  @Override
  public void close() {
    List<CudaMemoryScope> open;
    synchronized (this) {
      if (closed) {
        return;
      }
      closed = true;
      open = new ArrayList<>(children);
    }
    open.forEach(CudaMemoryScope::close);
    synchronized (this) {
      own.forEach(DeviceMemory::close);
      own.clear();
      ownBytes = 0;
    }
    if (parent != null) {
      parent.forget(this);
    }
  }

  private synchronized void forget(CudaMemoryScope child) {
    children.remove(child);
  }

  private void requireOpen() {
    if (closed) {
      throw new InferenceException(ErrorCode.INTERNAL, "Scope " + name + " is closed.");
    }
  }
}
