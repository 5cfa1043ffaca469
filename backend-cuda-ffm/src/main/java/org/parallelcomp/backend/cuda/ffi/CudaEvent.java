package org.parallelcomp.backend.cuda.ffi;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.parallelcomp.backend.cuda.bindings.CudaDriver;

/** A mark in a stream, to wait for from another one or to measure the time between two. */
public final class CudaEvent extends NativeOwner {
  private final CudaContext context;

  private CudaEvent(CudaContext context, MemorySegment event) {
    super(event);
    this.context = context;
  }

  /**
   * Creates an event.
   *
   * @param timed whether it can measure time, which makes it slower
   */
  public static CudaEvent create(CudaContext context, boolean timed) {
    context.makeCurrent();
    int flags = timed ? CudaDriver.CU_EVENT_DEFAULT() : CudaDriver.CU_EVENT_DISABLE_TIMING();
    return new CudaEvent(
        context,
        Slots.pointer(
            Library.DRIVER, "cuEventCreate", out -> CudaDriver.cuEventCreate(out, flags)));
  }

  /** Marks where a stream stands now. */
  public void record(CudaStream stream) {
    context.makeCurrent();
    Library.DRIVER.check("cuEventRecord", CudaDriver.cuEventRecord(handle(), stream.handle()));
  }

  /** Waits on the host until the stream has passed the mark. */
  public void synchronize() {
    context.makeCurrent();
    Library.DRIVER.check("cuEventSynchronize", CudaDriver.cuEventSynchronize(handle()));
  }

  /** Returns the milliseconds from an earlier event to this one; both have passed. */
  public float millisecondsSince(CudaEvent earlier) {
    context.makeCurrent();
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment out = arena.allocate(ValueLayout.JAVA_FLOAT);
      Library.DRIVER.check(
          "cuEventElapsedTime_v2",
          CudaDriver.cuEventElapsedTime_v2(out, earlier.handle(), handle()));
      return out.get(ValueLayout.JAVA_FLOAT, 0);
    }
  }

  @Override
  void release(MemorySegment held) {
    context.makeCurrent();
    Library.DRIVER.check("cuEventDestroy_v2", CudaDriver.cuEventDestroy_v2(held));
  }
}
