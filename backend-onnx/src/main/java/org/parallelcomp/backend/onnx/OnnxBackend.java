package org.parallelcomp.backend.onnx;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.parallelcomp.api.backend.AttentionOps;
import org.parallelcomp.api.backend.Backend;
import org.parallelcomp.api.backend.BackendInfo;
import org.parallelcomp.api.backend.CacheOps;
import org.parallelcomp.api.backend.DecoderOps;
import org.parallelcomp.api.backend.FileRegion;
import org.parallelcomp.api.backend.HostTransfer;
import org.parallelcomp.api.backend.MemoryScope;
import org.parallelcomp.api.backend.OpCall;
import org.parallelcomp.api.backend.TensorOps;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Shape;
import org.parallelcomp.api.tensor.Tensor;
import org.parallelcomp.backend.host.HostMemory;
import org.parallelcomp.backend.host.HostMemoryTransfer;
import org.parallelcomp.backend.host.SystemMemory;
import org.parallelcomp.backend.onnx.runtime.OrtEnvironment;
import org.parallelcomp.backend.onnx.runtime.OrtLibrary;

/** The open ONNX backend: one memory tree, one set of sessions. */
final class OnnxBackend implements Backend {
  private final OrtLibrary library;
  private final OnnxOptions options;
  private final int threads;
  private final HostMemory memory = new HostMemory("ONNX", WeightBlocks::unpack);
  private final OrtEnvironment environment;
  private final Sessions sessions;
  private final HostTransfer host = new HostMemoryTransfer(memory);
  private final DecoderOps decoder;
  private final AttentionOps attention;
  private final CacheOps cache = new OnnxCacheOps(memory);

  OnnxBackend(OrtLibrary library, OnnxOptions options, int threads) {
    this.library = library;
    this.options = options;
    this.threads = threads;
    this.environment = OrtEnvironment.open(library, threads);
    this.sessions = new Sessions(memory, environment, options);
    this.decoder = new OnnxDecoderOps(sessions, options.precision());
    this.attention = new OnnxAttentionOps(sessions);
  }

  @Override
  public BackendInfo info() {
    Map<String, String> facts = new LinkedHashMap<>();
    facts.put("library", "ONNX Runtime " + library.version());
    facts.put("provider", options.sessions().provider());
    facts.put("precision", options.precision().word());
    facts.put("sessions", Integer.toString(sessions.built()));
    facts.put("runs", Long.toString(sessions.runs()));
    facts.put("copiedBytes", Long.toString(sessions.copiedBytes()));
    SystemMemory system = SystemMemory.now();
    return new BackendInfo(
        OnnxBackendProvider.ID,
        "ONNX Runtime on " + options.sessions().provider(),
        threads,
        system.totalBytes(),
        system.freeBytes(),
        Collections.unmodifiableMap(facts));
  }

  @Override
  public boolean supports(OpCall call) {
    return switch (call.operation()) {
      case EMBED, LINEAR ->
          call.dtypes().stream()
              .allMatch(dtype -> dtype != DType.I32 && wholeBlocks(dtype, call.shapes()));
      case ROPE -> call.shapes().stream().allMatch(shape -> shape.dim(-1) % 2 == 0);
      case ATTEND, ATTENTION_MASS ->
          call.dtypes().stream().allMatch(OnnxCacheOps::isCacheType)
              && call.shapes().stream().allMatch(shape -> shape.dim(0) % shape.dim(1) == 0);
      case CACHE -> call.dtypes().stream().allMatch(OnnxCacheOps::isCacheType);
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
    return new OnnxTensorOps(sessions, results);
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
    sessions.close();
    memory.close();
    environment.close();
  }
}
