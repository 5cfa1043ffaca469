package org.parallelcomp.backend.cuda.ffi;

import java.lang.foreign.MemorySegment;
import org.parallelcomp.backend.cuda.bindings.CudaDriver;

/** Launches that were recorded once and are put into a stream as one. */
public final class CudaGraph extends NativeOwner {
  private final CudaContext context;

  private CudaGraph(CudaContext context, MemorySegment executable) {
    super(executable);
    this.context = context;
  }

  /**
   * Records what an action puts into a stream; nothing of it runs yet.
   *
   * @param work must put work into this stream only, from the calling thread
   */
  public static CudaGraph record(CudaStream stream, Runnable work) {
    stream.context().makeCurrent();
    Library.DRIVER.check(
        "cuStreamBeginCapture_v2",
        CudaDriver.cuStreamBeginCapture_v2(
            stream.handle(), CudaDriver.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL()));
    MemorySegment graph;
    try {
      work.run();
    } catch (RuntimeException | Error e) {
      abandon(stream, e);
      throw e;
    }
    graph =
        Slots.pointer(
            Library.DRIVER,
            "cuStreamEndCapture",
            out -> CudaDriver.cuStreamEndCapture(stream.handle(), out));
    try {
      return new CudaGraph(
          stream.context(),
          Slots.pointer(
              Library.DRIVER,
              "cuGraphInstantiateWithFlags",
              out -> CudaDriver.cuGraphInstantiateWithFlags(out, graph, 0)));
    } finally {
      Library.DRIVER.check("cuGraphDestroy", CudaDriver.cuGraphDestroy(graph));
    }
  }

  /** Ends a recording that failed, so that the stream can be used again. */
  private static void abandon(CudaStream stream, Throwable failure) {
    try {
      MemorySegment graph =
          Slots.pointer(
              Library.DRIVER,
              "cuStreamEndCapture",
              out -> CudaDriver.cuStreamEndCapture(stream.handle(), out));
      CudaDriver.cuGraphDestroy(graph);
    } catch (RuntimeException e) {
      failure.addSuppressed(e);
    }
  }

  /** Puts the recorded work into a stream. */
  public void launch(CudaStream stream) {
    context.makeCurrent();
    Library.DRIVER.check("cuGraphLaunch", CudaDriver.cuGraphLaunch(handle(), stream.handle()));
  }

  @Override
  void release(MemorySegment held) {
    context.makeCurrent();
    Library.DRIVER.check("cuGraphExecDestroy", CudaDriver.cuGraphExecDestroy(held));
  }
}
