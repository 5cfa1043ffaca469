package org.parallelcomp.backend.onnx;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.MemorySegment;
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
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Layout;
import org.parallelcomp.api.tensor.Shape;
import org.parallelcomp.api.tensor.Tensor;
import org.parallelcomp.backend.onnx.runtime.OrtEnvironment;
import org.parallelcomp.backend.onnx.runtime.OrtLibrary;

/** The open ONNX backend: one memory tree, one set of sessions. */
final class OnnxBackend implements Backend {
  private final OrtLibrary library;
  private final OnnxOptions options;
  private final int threads;
  private final OnnxMemoryScope memory = new OnnxMemoryScope("backend", null);
  private final OrtEnvironment environment;
  private final Sessions sessions;
  private final HostTransfer host = new OnnxHostTransfer();
  private final DecoderOps decoder;
  private final AttentionOps attention;
  private final CacheOps cache = new OnnxCacheOps();

  OnnxBackend(OrtLibrary library, OnnxOptions options, int threads) {
    this.library = library;
    this.options = options;
    this.threads = threads;
    this.environment = OrtEnvironment.open(library, threads);
    this.sessions = new Sessions(environment, options);
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
    return memory.child(name);
  }

  @Override
  public Tensor load(MemoryScope scope, FileRegion region, DType dtype, Shape shape) {
    if (dtype.bytes(shape.elements()) != region.sizeBytes()) {
      throw new InferenceException(
          ErrorCode.CORRUPT_FILE,
          "A tensor "
              + dtype
              + shape
              + " takes "
              + dtype.bytes(shape.elements())
              + " bytes, but its region of "
              + region.file()
              + " has "
              + region.sizeBytes()
              + ".");
    }
    try {
      OnnxMemoryScope owner = OnnxMemoryScope.of(scope);
      MemorySegment file = owner.map(region.file());
      if (region.offsetBytes() < 0 || region.offsetBytes() > file.byteSize() - region.sizeBytes()) {
        throw new InferenceException(
            ErrorCode.FILE_NOT_READABLE,
            region.file()
                + " has "
                + file.byteSize()
                + " bytes and ends before byte "
                + (region.offsetBytes() + region.sizeBytes())
                + ", where a tensor ends.");
      }
      MemorySegment storage = file.asSlice(region.offsetBytes(), region.sizeBytes());
      return new OnnxTensor(owner, storage, dtype, Layout.contiguous(shape));
    } catch (IOException | UncheckedIOException e) {
      throw new InferenceException(
          ErrorCode.FILE_NOT_READABLE,
          "Cannot map " + region.file() + ": " + e.getMessage() + ".",
          e);
    }
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
