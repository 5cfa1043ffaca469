package org.parallelcomp.backend.cuda.ffi;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.backend.cuda.bindings.CudaDriver;

/**
 * Memory of the device, taken from the pool in the order of a stream and given back in it: work
 * that was put into the stream before still sees it.
 */
public final class DeviceMemory extends NativeOwner {
  private final CudaStream stream;
  private final long bytes;

  private DeviceMemory(CudaStream stream, MemorySegment address, long bytes) {
    super(address);
    this.stream = stream;
    this.bytes = bytes;
  }

  /**
   * Allocates memory of undefined contents.
   *
   * @throws InferenceException OUT_OF_MEMORY, with the bytes asked for and those free
   */
  public static DeviceMemory allocate(CudaStream stream, long bytes) {
    stream.context().makeCurrent();
    // An address is needed also where there is nothing to hold.
    long size = Math.max(16, bytes);
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment out = arena.allocate(ValueLayout.JAVA_LONG);
      int status = CudaDriver.cuMemAllocAsync(out, size, stream.handle());
      if (status == CudaDriver.CUDA_ERROR_OUT_OF_MEMORY()) {
        // What was freed may lie in the pool in pieces that are too small.
        stream.synchronize();
        stream.context().trimPool();
        status = CudaDriver.cuMemAllocAsync(out, size, stream.handle());
      }
      if (status == CudaDriver.CUDA_ERROR_OUT_OF_MEMORY()) {
        throw new InferenceException(
            ErrorCode.OUT_OF_MEMORY,
            "The device "
                + stream.context().device().name()
                + " has no "
                + bytes
                + " bytes left; "
                + stream.context().freeBytes()
                + " are free.");
      }
      Library.DRIVER.check("cuMemAllocAsync", status);
      return new DeviceMemory(
          stream, MemorySegment.ofAddress(out.get(ValueLayout.JAVA_LONG, 0)), bytes);
    }
  }

  /** Returns the address on the device. */
  public long address() {
    return handle().address();
  }

  /** Returns the size. */
  public long bytes() {
    return bytes;
  }

  @Override
  void release(MemorySegment held) {
    stream.context().makeCurrent();
    Library.DRIVER.check(
        "cuMemFreeAsync", CudaDriver.cuMemFreeAsync(held.address(), stream.handle()));
  }
}
