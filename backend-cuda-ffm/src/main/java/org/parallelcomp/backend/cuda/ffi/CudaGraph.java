package org.parallelcomp.backend.cuda.ffi;

import java.lang.foreign.MemorySegment;
import org.parallelcomp.backend.cuda.bindings.CudaDriver;

/** Launches that were recorded once and are put into a stream as one. */
final class CudaGraph extends NativeOwner {
  private final CudaContext context;

  private CudaGraph(CudaContext context, MemorySegment executable) {
    super(executable);
    this.context = context;
  }

  /**
   * Records what an action puts into a stream; nothing of it runs.
   *
   * @param stream a stream that only the calling thread knows
   * @param work must put work into this stream only
   */
  static CudaGraph record(CudaContext context, MemorySegment stream, Runnable work) {
    context.makeCurrent();
    Library.DRIVER.check(
        "cuStreamBeginCapture_v2",
        CudaDriver.cuStreamBeginCapture_v2(
            stream, CudaDriver.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL()));
    try {
      work.run();
    } catch (RuntimeException | Error e) {
      abandon(stream, e);
      throw e;
    }
    MemorySegment graph = end(stream);
    try {
      return new CudaGraph(
          context,
          Slots.pointer(
              Library.DRIVER,
              "cuGraphInstantiateWithFlags",
              out -> CudaDriver.cuGraphInstantiateWithFlags(out, graph, 0)));
    } finally {
      Library.DRIVER.check("cuGraphDestroy", CudaDriver.cuGraphDestroy(graph));
    }
  }

  private static MemorySegment end(MemorySegment stream) {
    return Slots.pointer(
        Library.DRIVER, "cuStreamEndCapture", out -> CudaDriver.cuStreamEndCapture(stream, out));
  }

  /** Ends a recording that failed, so that the stream can be used again. */
  private static void abandon(MemorySegment stream, Throwable failure) {
    try {
      CudaDriver.cuGraphDestroy(end(stream));
    } catch (RuntimeException e) {
      failure.addSuppressed(e);
    }
  }

  /** Puts the recorded work into a stream. */
  void launch(MemorySegment stream) {
    Library.DRIVER.check("cuGraphLaunch", CudaDriver.cuGraphLaunch(handle(), stream));
  }

  @Override
  void release(MemorySegment held) {
    context.makeCurrent();
    Library.DRIVER.check("cuGraphExecDestroy", CudaDriver.cuGraphExecDestroy(held));
  }
}
