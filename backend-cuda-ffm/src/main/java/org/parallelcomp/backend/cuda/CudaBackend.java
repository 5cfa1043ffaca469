package org.parallelcomp.backend.cuda;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.parallelcomp.api.backend.AttendSequence;
import org.parallelcomp.api.backend.AttentionBlock;
import org.parallelcomp.api.backend.AttentionOps;
import org.parallelcomp.api.backend.Backend;
import org.parallelcomp.api.backend.BackendInfo;
import org.parallelcomp.api.backend.BackendTraits;
import org.parallelcomp.api.backend.CacheOps;
import org.parallelcomp.api.backend.DecoderOps;
import org.parallelcomp.api.backend.FeedForwardBlock;
import org.parallelcomp.api.backend.FileRegion;
import org.parallelcomp.api.backend.HostTransfer;
import org.parallelcomp.api.backend.MemoryScope;
import org.parallelcomp.api.backend.OpCall;
import org.parallelcomp.api.backend.Scratch;
import org.parallelcomp.api.backend.TensorOps;
import org.parallelcomp.api.cache.KvLayer;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Shape;
import org.parallelcomp.api.tensor.Tensor;
import org.parallelcomp.backend.cuda.ffi.CudaDevice;
import org.parallelcomp.backend.cuda.ffi.FusedAttention;
import org.parallelcomp.backend.cuda.ffi.Library;

/** One open device: a memory tree, a stream of work, and an upload stream beside it. */
final class CudaBackend implements Backend {
  private final CudaInstallation installation;
  private final CudaRuntime runtime;
  private final BackendTraits traits;
  private final CudaMemoryScope memory;
  private final Moves moves;
  private final FileUploads uploads;
  private final DeviceTransfers transfers;
  private final CudaHostTransfer host;
  private final CudaDecoderOps decoder;
  private final CudaAttentionOps attention;
  private final CudaCacheOps cache;
  private boolean closed;

  private CudaBackend(CudaInstallation installation, CudaRuntime runtime, BackendTraits traits) {
    this.installation = installation;
    this.traits = traits;
    this.runtime = runtime;
    this.memory = new CudaMemoryScope(runtime, "backend", null);
    this.moves = new Moves(runtime);
    this.uploads = new FileUploads(runtime);
    this.transfers = new DeviceTransfers(runtime.stream());
    this.host = new CudaHostTransfer(runtime, moves);
    this.decoder = new CudaDecoderOps(runtime, moves);
    HeadTables tables = new HeadTables(runtime);
    this.attention =
        new CudaAttentionOps(
            runtime,
            moves,
            tables,
            installation.found().containsKey(Library.CUDNN)
                ? FusedAttention.open(runtime.stream())
                : null);
    this.cache = new CudaCacheOps(runtime, tables);
  }

  /** Opens a device and compiles the kernels that are not in the cache. */
  static CudaBackend open(CudaInstallation installation, CudaDevice device, BackendTraits traits) {
    CudaRuntime runtime = CudaRuntime.open(device);
    try {
      runtime.compileAll();
      return new CudaBackend(installation, runtime, traits);
    } catch (RuntimeException | Error e) {
      runtime.close();
      throw e;
    }
  }

  @Override
  public BackendInfo info() {
    CudaDevice device = runtime.context().device();
    Map<String, String> facts = new LinkedHashMap<>();
    facts.put("device", Integer.toString(device.ordinal()));
    facts.put("computeCapability", device.computeCapability());
    facts.put("multiprocessors", Integer.toString(device.multiprocessors()));
    installation.found().forEach((library, version) -> facts.put(library.title(), version));
    facts.put(
        "attention",
        installation.found().containsKey(Library.CUDNN)
            ? "cuDNN for many rows over even heads of 16 bits, else own kernels"
            : "own kernels");
    facts.put("cache", traits.cacheType().toString());
    facts.put("blockTokens", Integer.toString(traits.blockTokens()));
    facts.put(
        "weights", "as in the file; blocks are unpacked to BF16 for each product of many rows");
    facts.put("peakBytes", Long.toString(runtime.context().peakBytes()));
    return new BackendInfo(
        CudaBackendProvider.ID,
        device.name(),
        1,
        device.totalBytes(),
        runtime.context().freeBytes(),
        Collections.unmodifiableMap(facts));
  }

  @Override
  public BackendTraits traits() {
    return traits;
  }

  @Override
  public boolean supports(OpCall call) {
    return switch (call.operation()) {
      case EMBED, LINEAR ->
          call.dtypes().stream()
              .allMatch(
                  dtype ->
                      call.shapes().stream()
                          .allMatch(shape -> CudaDecoderOps.isWeightType(dtype, shape)));
      case ROPE -> call.shapes().stream().allMatch(shape -> shape.dim(-1) % 2 == 0);
      case ATTEND, ATTENTION_MASS ->
          call.dtypes().stream()
              .allMatch(
                  dtype ->
                      call.shapes().stream()
                          .allMatch(shape -> CudaAttentionOps.isSupported(dtype, shape)));
      case CACHE -> call.dtypes().stream().allMatch(CudaCacheOps::isCacheType);
    };
  }

  @Override
  public MemoryScope openScope(String name) {
    return memory.child(name);
  }

  @Override
  public Tensor load(MemoryScope scope, FileRegion region, DType dtype, Shape shape) {
    region.requireHolds(dtype, shape);
    CudaTensor tensor = CudaMemoryScope.of(scope).allocateUndefined(dtype, shape);
    uploads.upload(region, tensor.address());
    return new CudaTensor(tensor.storage(), dtype, tensor.layout(), true);
  }

  @Override
  public HostTransfer host() {
    return host;
  }

  @Override
  public TensorOps tensorOps(MemoryScope results) {
    return new CudaTensorOps(runtime, moves, CudaMemoryScope.of(results));
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

  /**
   * Where attention is cuDNN's and the output projection BF16, what is attended to stays in it: as
   * F32 it would be written and read once more, a hundredth of a prefill's time.
   */
  @Override
  public void attendAndFeedForward(
      Tensor hidden,
      @Nullable Tensor logSumExp,
      Tensor queries,
      float scale,
      List<AttendSequence> sequences,
      AttentionBlock attentionBlock,
      FeedForwardBlock feedForward,
      Scratch scratch) {
    CudaTensor state = CudaTensor.floats(hidden).matrix();
    boolean done =
        !sequences.isEmpty()
            && sequences.getFirst().layer().keys().dtype() == DType.BF16
            && CudaDecoderOps.staysHalf(state, attentionBlock, feedForward)
            && attention.attendHalf(
                logSumExp,
                queries,
                scale,
                sequences,
                attended ->
                    decoder.attentionOutputAndFeedForward(
                        state, attended, attentionBlock, feedForward));
    if (!done) {
      Backend.super.attendAndFeedForward(
          hidden, logSumExp, queries, scale, sequences, attentionBlock, feedForward, scratch);
    }
  }

  /**
   * Through pinned memory of the host, byte by byte: as fast as the bus, and there whether or not
   * the devices can reach each other.
   */
  @Override
  public KvLayer copyOf(MemoryScope scope, Backend source, KvLayer layer) {
    if (!(source instanceof CudaBackend other)) {
      return Backend.super.copyOf(scope, source, layer);
    }
    KvLayer copy = cache.allocate(scope, layer.keys().dtype(), layer.tokens(), layer.headDim());
    for (int head = 0; head < layer.kvHeads(); head++) {
      copy.setTokens(head, layer.tokens(head));
    }
    if (layer.firstSlot(layer.kvHeads()) == layer.headTokens()) {
      copySlots(copy, 0, other, layer, 0, Math.toIntExact(layer.headTokens()));
      return copy;
    }
    for (int head = 0; head < layer.kvHeads(); head++) {
      copySlots(
          copy, copy.firstSlot(head), other, layer, layer.firstSlot(head), layer.tokens(head));
    }
    return copy;
  }

  private void copySlots(
      KvLayer to, int toSlot, CudaBackend other, KvLayer from, int fromSlot, int slots) {
    copySlots(to.keys(), toSlot, other, from.keys(), fromSlot, slots);
    copySlots(to.values(), toSlot, other, from.values(), fromSlot, slots);
    copySlots(to.positions(), toSlot, other, from.positions(), fromSlot, slots);
  }

  private void copySlots(
      Tensor to, int toSlot, CudaBackend other, Tensor from, int fromSlot, int slots) {
    CudaTensor target = CudaTensor.of(to).slice(0, toSlot, toSlot + slots);
    CudaTensor source = CudaTensor.of(from).slice(0, fromSlot, fromSlot + slots);
    transfers.copy(
        target.address(),
        other.runtime.stream(),
        source.address(),
        to.dtype().bytes(target.shape().elements()));
  }

  /** Returns the conversions, for measurements. */
  Moves moves() {
    return moves;
  }

  /** Returns the runtime, for measurements. */
  CudaRuntime runtime() {
    return runtime;
  }

  @Override
  public synchronized void close() {
    if (!closed) {
      closed = true;
      uploads.close();
      transfers.close();
      memory.close();
      attention.close();
      runtime.close();
    }
  }
}
