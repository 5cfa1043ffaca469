package org.parallelcomp.backend.cuda;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.parallelcomp.backend.cuda.ffi.CudaContext;
import org.parallelcomp.backend.cuda.ffi.CudaDevice;
import org.parallelcomp.backend.cuda.ffi.CudaFunction;
import org.parallelcomp.backend.cuda.ffi.CudaFunction.Grid;
import org.parallelcomp.backend.cuda.ffi.CudaModule;
import org.parallelcomp.backend.cuda.ffi.CudaStream;
import org.parallelcomp.backend.cuda.ffi.DeviceMemory;
import org.parallelcomp.backend.cuda.ffi.KernelCache;
import org.parallelcomp.backend.cuda.ffi.LaunchArguments;
import org.parallelcomp.backend.cuda.ffi.MatrixProducts;

/**
 * One device at work: its context, the one stream that all operations go into, the compiled kernels
 * and the matrix products. Since there is one stream, what a call writes is there for the next one,
 * whichever thread it comes from.
 */
final class CudaRuntime implements AutoCloseable {
  private final CudaContext context;
  private final CudaStream stream;
  private final KernelCache cache;
  private final SharedConstants constants = new SharedConstants(this);
  private final MatrixProducts products;
  private final Map<KernelSource, CudaModule> modules = new EnumMap<>(KernelSource.class);
  private final Map<String, CudaFunction> functions = new ConcurrentHashMap<>();

  private CudaRuntime(CudaContext context, CudaStream stream, MatrixProducts products) {
    this.context = context;
    this.stream = stream;
    this.products = products;
    this.cache = KernelCache.ofProcess();
  }

  /** Opens a device; the libraries must be loaded. */
  static CudaRuntime open(CudaDevice device) {
    CudaContext context = CudaContext.open(device);
    CudaStream stream = CudaStream.create(context);
    return new CudaRuntime(context, stream, MatrixProducts.open(stream));
  }

  CudaContext context() {
    return context;
  }

  CudaStream stream() {
    return stream;
  }

  MatrixProducts products() {
    return products;
  }

  /**
   * Compiles what is not in the cache, all sources at once, so that no later call waits for the
   * compiler.
   */
  void compileAll() {
    String architecture = context.device().architecture();
    List<KernelSource> sources = List.of(KernelSource.values());
    List<byte[]> cubins =
        sources.parallelStream().map(source -> cache.cubin(source.request(architecture))).toList();
    for (int i = 0; i < cubins.size(); i++) {
      modules.put(sources.get(i), CudaModule.load(context, cubins.get(i)));
    }
  }

  /** Puts a kernel into the stream. */
  void launch(
      KernelSource source,
      String kernel,
      Grid grid,
      int threads,
      int sharedBytes,
      LaunchArguments arguments) {
    functions
        .computeIfAbsent(kernel, name -> modules.get(source).function(name))
        .launch(stream, grid, threads, sharedBytes, arguments);
  }

  /** Returns a small table on the device, copied there only if it is not there already. */
  SharedConstants.Lease constant(MemorySegment bytes) {
    return constants.lease(bytes);
  }

  /** Returns numbers of the host as a table on the device. */
  SharedConstants.Lease constant(int[] numbers) {
    return constants.lease(MemorySegment.ofArray(numbers));
  }

  /** Returns memory for intermediate results; to be closed as soon as its last use is launched. */
  DeviceMemory temporary(long bytes) {
    return DeviceMemory.allocate(stream, bytes);
  }

  /** Returns numbers of the host in temporary memory. */
  DeviceMemory temporary(int[] numbers) {
    try (Arena arena = Arena.ofConfined()) {
      return temporary(arena.allocateFrom(ValueLayout.JAVA_INT, numbers));
    }
  }

  /** Returns bytes of the host in temporary memory. */
  DeviceMemory temporary(MemorySegment bytes) {
    DeviceMemory memory = temporary(bytes.byteSize());
    stream.upload(memory.address(), bytes);
    return memory;
  }

  @Override
  public void close() {
    constants.close();
    products.close();
    stream.close();
    modules.values().forEach(CudaModule::close);
    context.close();
  }
}
