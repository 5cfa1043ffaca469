package org.parallelcomp.backend.cpu.vector;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.parallelcomp.api.backend.AttentionOps;
import org.parallelcomp.api.backend.Backend;
import org.parallelcomp.api.backend.BackendConfig;
import org.parallelcomp.api.backend.BackendInfo;
import org.parallelcomp.api.backend.CacheOps;
import org.parallelcomp.api.backend.DecoderOps;
import org.parallelcomp.api.backend.FileRegion;
import org.parallelcomp.api.backend.HostTransfer;
import org.parallelcomp.api.backend.MemoryScope;
import org.parallelcomp.api.backend.OpCall;
import org.parallelcomp.api.backend.TensorOps;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.error.Names;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Shape;
import org.parallelcomp.api.tensor.Tensor;
import org.parallelcomp.backend.cpu.vector.simd.Dequantize;
import org.parallelcomp.backend.cpu.vector.simd.VectorWidth;
import org.parallelcomp.backend.cpu.vector.simd.WarmUp;
import org.parallelcomp.backend.host.HostMemory;
import org.parallelcomp.backend.host.HostMemoryTransfer;
import org.parallelcomp.backend.host.HostTensorOps;
import org.parallelcomp.backend.host.SystemMemory;

/** The open CPU backend: one memory tree, one pool of workers. */
final class CpuBackend implements Backend {
  /** Caps the width of the vectors; can only be lowered, and only before the first use. */
  private static final String VECTOR_BITS = "vectorBits";

  private static final List<String> OPTIONS = List.of(VECTOR_BITS);

  private final int threads;
  private final HostMemory memory = new HostMemory("CPU", Dequantize::blocks);
  private final CpuKernels kernels;
  private final HostTransfer host = new HostMemoryTransfer(memory);
  private final DecoderOps decoder;
  private final AttentionOps attention;
  private final CacheOps cache;

  private CpuBackend(int threads) {
    this.threads = threads;
    this.kernels = new CpuKernels(memory, threads);
    this.decoder = new CpuDecoderOps(kernels);
    this.attention = new CpuAttentionOps(kernels);
    this.cache = new CpuCacheOps(kernels);
  }

  /** Opens the backend; the Vector API must be readable. */
  static CpuBackend open(BackendConfig config) {
    for (String option : config.options().keySet()) {
      if (!OPTIONS.contains(option)) {
        throw Names.unknown("option of the backend " + CpuBackendProvider.ID, option, OPTIONS);
      }
    }
    String bits = config.options().get(VECTOR_BITS);
    if (bits != null) {
      VectorWidth.cap(parseBits(bits));
    }
    WarmUp.start();
    return new CpuBackend(config.threads());
  }

  private static int parseBits(String text) {
    if (!List.of("128", "256", "512").contains(text)) {
      throw new InferenceException(
          ErrorCode.INVALID_ARGUMENT,
          "The option " + VECTOR_BITS + " must be 128, 256 or 512, not '" + text + "'.");
    }
    return Integer.parseInt(text);
  }

  /** Returns one line on the vectors and cores found. */
  static String describe() {
    return VectorWidth.bits()
        + "-bit vectors, "
        + Runtime.getRuntime().availableProcessors()
        + " cores";
  }

  @Override
  public BackendInfo info() {
    Map<String, String> facts = new LinkedHashMap<>();
    facts.put(VECTOR_BITS, Integer.toString(VectorWidth.bits()));
    facts.put("cores", Integer.toString(Runtime.getRuntime().availableProcessors()));
    facts.put("architecture", System.getProperty("os.arch"));
    SystemMemory system = SystemMemory.now();
    return new BackendInfo(
        CpuBackendProvider.ID,
        "processor, " + describe(),
        threads,
        system.totalBytes(),
        system.freeBytes(),
        java.util.Collections.unmodifiableMap(facts));
  }

  @Override
  public boolean supports(OpCall call) {
    return switch (call.operation()) {
      case EMBED, LINEAR ->
          call.dtypes().stream()
              .allMatch(dtype -> dtype != DType.I32 && wholeBlocks(dtype, call.shapes()));
      case ROPE -> true;
      case ATTEND, ATTENTION_MASS ->
          call.dtypes().stream().allMatch(CpuCacheOps::isCacheType)
              && call.shapes().stream().allMatch(shape -> shape.dim(0) % shape.dim(1) == 0);
      case CACHE -> call.dtypes().stream().allMatch(CpuCacheOps::isCacheType);
    };
  }

  private static boolean wholeBlocks(DType dtype, List<Shape> shapes) {
    return shapes.stream().allMatch(shape -> shape.dim(-1) % dtype.blockElements() == 0);
  }

  @Override
  public MemoryScope openScope(String name) {
    return memory.openScope(name);
  }

  @Override
  public Tensor load(MemoryScope scope, FileRegion region, DType dtype, Shape shape) {
    return memory.load(scope, region, dtype, shape);
  }

  @Override
  public HostTransfer host() {
    return host;
  }

  @Override
  public TensorOps tensorOps(MemoryScope results) {
    return new HostTensorOps(memory, results);
  }

  @Override
  public DecoderOps decoder() {
    return decoder;
  }

  @Override
  public AttentionOps attention() {
    return attention;
  }

  @Override
  public CacheOps cache() {
    return cache;
  }

  @Override
  public void close() {
    kernels.close();
    memory.close();
  }
}
