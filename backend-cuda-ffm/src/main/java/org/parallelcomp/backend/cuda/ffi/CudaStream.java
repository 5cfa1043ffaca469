package org.parallelcomp.backend.cuda.ffi;

import java.lang.foreign.MemorySegment;
import org.parallelcomp.backend.cuda.bindings.CudaDriver;

/**
 * A queue of work: what is put into it runs in order, and returns at once to the caller. Launches
 * of our own kernels gather before they go in; whoever asks for the handle, to put in anything
 * else, sends them ahead.
 */
public final class CudaStream extends NativeOwner {
  private final CudaContext context;
  private final LaunchQueue launches;

  private CudaStream(CudaContext context, MemorySegment stream) {
    super(stream);
    this.context = context;
    this.launches = new LaunchQueue(context, stream);
  }

  /** Creates a stream that does not wait for others. */
  public static CudaStream create(CudaContext context) {
    context.makeCurrent();
    return new CudaStream(
        context,
        Slots.pointer(
            Library.DRIVER,
            "cuStreamCreate",
            out -> CudaDriver.cuStreamCreate(out, CudaDriver.CU_STREAM_NON_BLOCKING())));
  }

  /** Returns the context. */
  public CudaContext context() {
    return context;
  }

  /** Returns the handle, behind everything that was put in so far. */
  @Override
  MemorySegment handle() {
    MemorySegment handle = super.handle();
    launches.flush();
    return handle;
  }

  /** Puts in a launch, sooner or later, but before anything else. */
  void launch(Launch launch) {
    super.handle(); // Refuses if this is closed.
    launches.add(launch);
  }

  /** Waits until everything is done; what failed on the device is thrown here. */
  public void synchronize() {
    context.makeCurrent();
    Library.DRIVER.check("cuStreamSynchronize", CudaDriver.cuStreamSynchronize(handle()));
  }

  /** Lets what is put in from now on wait for an event of another stream. */
  public void waitFor(CudaEvent event) {
    context.makeCurrent();
    Library.DRIVER.check(
        "cuStreamWaitEvent", CudaDriver.cuStreamWaitEvent(handle(), event.handle(), 0));
  }

  /**
   * Copies from the host. Pinned memory must stay as it is until the stream has come this far; any
   * other may be used again at once.
   */
  public void upload(long target, MemorySegment source) {
    if (source.byteSize() > 0) {
      context.makeCurrent();
      Library.DRIVER.check(
          "cuMemcpyHtoDAsync_v2",
          CudaDriver.cuMemcpyHtoDAsync_v2(target, source, source.byteSize(), handle()));
    }
  }

  /** Copies to pinned memory of the host, which must not be read before the stream came so far. */
  public void downloadLater(MemorySegment target, long source) {
    context.makeCurrent();
    Library.DRIVER.check(
        "cuMemcpyDtoHAsync_v2",
        CudaDriver.cuMemcpyDtoHAsync_v2(target, source, target.byteSize(), handle()));
  }

  /** Copies to the host and waits for it. */
  public void download(MemorySegment target, long source) {
    if (target.byteSize() > 0) {
      context.makeCurrent();
      Library.DRIVER.check(
          "cuMemcpyDtoHAsync_v2",
          CudaDriver.cuMemcpyDtoHAsync_v2(target, source, target.byteSize(), handle()));
    }
    synchronize();
  }

  /** Copies on the device. */
  public void copy(long target, long source, long bytes) {
    if (bytes > 0) {
      context.makeCurrent();
      Library.DRIVER.check(
          "cuMemcpyDtoDAsync_v2", CudaDriver.cuMemcpyDtoDAsync_v2(target, source, bytes, handle()));
    }
  }

  /** Sets bytes on the device to zero. */
  public void clear(long target, long bytes) {
    if (bytes > 0) {
      context.makeCurrent();
      Library.DRIVER.check(
          "cuMemsetD8Async", CudaDriver.cuMemsetD8Async(target, (byte) 0, bytes, handle()));
    }
  }

  @Override
  void release(MemorySegment held) {
    context.makeCurrent();
    launches.flush();
    launches.close();
    Library.DRIVER.check("cuStreamDestroy_v2", CudaDriver.cuStreamDestroy_v2(held));
  }
}
