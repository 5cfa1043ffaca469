package org.parallelcomp.backend.cuda.ffi;

import java.lang.foreign.MemorySegment;
import org.parallelcomp.backend.cuda.bindings.CudaDriver;

/** Memory of the host that the device can copy from without the driver's help. */
public final class PinnedMemory extends NativeOwner {
  private final CudaContext context;

  private PinnedMemory(CudaContext context, MemorySegment memory) {
    super(memory);
    this.context = context;
  }

  /** Allocates memory of undefined contents. */
  public static PinnedMemory allocate(CudaContext context, long bytes) {
    context.makeCurrent();
    MemorySegment memory =
        Slots.pointer(
            Library.DRIVER, "cuMemAllocHost_v2", out -> CudaDriver.cuMemAllocHost_v2(out, bytes));
    return new PinnedMemory(context, memory.reinterpret(bytes));
  }

  /** Returns the memory; not to be touched once this is closed. */
  public MemorySegment segment() {
    return handle();
  }

  @Override
  void release(MemorySegment held) {
    context.makeCurrent();
    Library.DRIVER.check("cuMemFreeHost", CudaDriver.cuMemFreeHost(held));
  }
}
