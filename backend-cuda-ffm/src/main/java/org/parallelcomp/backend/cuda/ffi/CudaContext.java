package org.parallelcomp.backend.cuda.ffi;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.parallelcomp.backend.cuda.bindings.CudaDriver;

/**
 * The primary context of a device. Every thread that calls the driver must first make it current.
 */
public final class CudaContext extends NativeOwner {
  private final CudaDevice device;
  private final MemorySegment pool;

  private CudaContext(CudaDevice device, MemorySegment context) {
    super(context);
    this.device = device;
    this.pool =
        Slots.pointer(
            Library.DRIVER,
            "cuDeviceGetDefaultMemPool",
            out -> CudaDriver.cuDeviceGetDefaultMemPool(out, CudaDevice.handle(device.ordinal())));
  }

  /** Opens the context of a device, makes it current and lets freed memory stay in its pool. */
  public static CudaContext open(CudaDevice device) {
    int handle = CudaDevice.handle(device.ordinal());
    var context =
        new CudaContext(
            device,
            Slots.pointer(
                Library.DRIVER,
                "cuDevicePrimaryCtxRetain",
                out -> CudaDriver.cuDevicePrimaryCtxRetain(out, handle)));
    context.makeCurrent();
    context.setPoolAttribute(CudaDriver.CU_MEMPOOL_ATTR_RELEASE_THRESHOLD(), Long.MAX_VALUE);
    return context;
  }

  /** Returns the device. */
  public CudaDevice device() {
    return device;
  }

  /** Makes this the context of the calling thread. */
  public void makeCurrent() {
    Library.DRIVER.check("cuCtxSetCurrent", CudaDriver.cuCtxSetCurrent(handle()));
  }

  /**
   * Returns the bytes that can still be allocated: what the device has free, and what lies unused
   * in the pool.
   */
  public long freeBytes() {
    makeCurrent();
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment free = arena.allocate(ValueLayout.JAVA_LONG);
      MemorySegment total = arena.allocate(ValueLayout.JAVA_LONG);
      Library.DRIVER.check("cuMemGetInfo_v2", CudaDriver.cuMemGetInfo_v2(free, total));
      return free.get(ValueLayout.JAVA_LONG, 0)
          + poolAttribute(CudaDriver.CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT())
          - poolAttribute(CudaDriver.CU_MEMPOOL_ATTR_USED_MEM_CURRENT());
    }
  }

  /** Returns the greatest number of bytes in use at once since the last {@link #resetPeak}. */
  public long peakBytes() {
    return poolAttribute(CudaDriver.CU_MEMPOOL_ATTR_USED_MEM_HIGH());
  }

  /** Starts the measurement of {@link #peakBytes} anew. */
  public void resetPeak() {
    setPoolAttribute(CudaDriver.CU_MEMPOOL_ATTR_USED_MEM_HIGH(), 0);
  }

  /** Gives unused memory of the pool back to the device, for a request that needs it whole. */
  void trimPool() {
    Library.DRIVER.check("cuMemPoolTrimTo", CudaDriver.cuMemPoolTrimTo(pool, 0));
  }

  private long poolAttribute(int attribute) {
    return Slots.word(
        Library.DRIVER,
        "cuMemPoolGetAttribute",
        out -> CudaDriver.cuMemPoolGetAttribute(pool, attribute, out));
  }

  private void setPoolAttribute(int attribute, long value) {
    try (Arena arena = Arena.ofConfined()) {
      Library.DRIVER.check(
          "cuMemPoolSetAttribute",
          CudaDriver.cuMemPoolSetAttribute(
              pool, attribute, arena.allocateFrom(ValueLayout.JAVA_LONG, value)));
    }
  }

  @Override
  void release(MemorySegment held) {
    Library.DRIVER.check(
        "cuDevicePrimaryCtxRelease_v2",
        CudaDriver.cuDevicePrimaryCtxRelease_v2(CudaDevice.handle(device.ordinal())));
  }
}
