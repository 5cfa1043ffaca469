package org.parallelcomp.backend.cuda.ffi;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import org.parallelcomp.backend.cuda.bindings.CudaDriver;

/** Compiled kernels, loaded into a context. */
public final class CudaModule extends NativeOwner {
  private final CudaContext context;

  private CudaModule(CudaContext context, MemorySegment module) {
    super(module);
    this.context = context;
  }

  /** Loads a cubin. */
  public static CudaModule load(CudaContext context, byte[] cubin) {
    context.makeCurrent();
    try (Arena arena = Arena.ofConfined()) {
      // The driver reads the image as an ELF file, in words.
      MemorySegment image = arena.allocate(cubin.length, 16).copyFrom(MemorySegment.ofArray(cubin));
      return new CudaModule(
          context,
          Slots.pointer(
              Library.DRIVER, "cuModuleLoadData", out -> CudaDriver.cuModuleLoadData(out, image)));
    }
  }

  /** Returns a kernel by its name in the source, which is {@code extern "C"}. */
  public CudaFunction function(String name) {
    context.makeCurrent();
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment text = arena.allocateFrom(name);
      return new CudaFunction(
          name,
          Slots.pointer(
              Library.DRIVER,
              "cuModuleGetFunction(" + name + ")",
              out -> CudaDriver.cuModuleGetFunction(out, handle(), text)));
    }
  }

  @Override
  void release(MemorySegment held) {
    context.makeCurrent();
    Library.DRIVER.check("cuModuleUnload", CudaDriver.cuModuleUnload(held));
  }
}
