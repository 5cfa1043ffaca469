package org.parallelcomp.backend.cuda.ffi;

import java.lang.foreign.MemorySegment;
import org.parallelcomp.backend.cuda.bindings.CudaDriver;

/** A kernel that can be launched; lives as long as its module. */
public final class CudaFunction {
  /** Dynamic shared memory that a kernel gets without asking. */
  private static final int SHARED_BYTES_WITHOUT_ASKING = 48 * 1024;

  private final String name;
  private final MemorySegment handle;
  private int sharedBytesAllowed = SHARED_BYTES_WITHOUT_ASKING;

  CudaFunction(String name, MemorySegment handle) {
    this.name = name;
    this.handle = handle;
  }

  /**
   * The blocks of a launch.
   *
   * @param x blocks along the first axis, at most 2³¹ - 1
   * @param y blocks along the second, at most 65 535
   * @param z blocks along the third, at most 65 535
   */
  public record Grid(long x, long y, long z) {
    /** Returns a grid of one axis. */
    public static Grid of(long x) {
      return new Grid(x, 1, 1);
    }
  }

  /**
   * Puts a launch into a stream; nothing is done for an empty grid. Where the device can, the
   * kernel may start before those in front of it are done, and waits for them itself.
   *
   * @param sharedBytes dynamic shared memory of a block
   */
  public void launch(
      CudaStream stream, Grid grid, int threads, int sharedBytes, LaunchArguments arguments) {
    if (grid.x == 0 || grid.y == 0 || grid.z == 0) {
      return;
    }
    allowShared(stream.context(), sharedBytes);
    stream.launch(
        new Launch(this, grid, threads, sharedBytes, arguments.values(), arguments.offsets()));
  }

  /** Returns the kernel's name. */
  String name() {
    return name;
  }

  /** Returns the kernel. */
  MemorySegment handle() {
    return handle;
  }

  private synchronized void allowShared(CudaContext context, int bytes) {
    if (bytes > sharedBytesAllowed) {
      context.makeCurrent();
      Library.DRIVER.check(
          "cuFuncSetAttribute(" + name + ")",
          CudaDriver.cuFuncSetAttribute(
              handle, CudaDriver.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES(), bytes));
      sharedBytesAllowed = bytes;
    }
  }
}
