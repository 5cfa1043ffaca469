package org.parallelcomp.backend.cuda;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import org.parallelcomp.api.backend.Arguments;
import org.parallelcomp.api.backend.CacheOps;
import org.parallelcomp.api.backend.MemoryScope;
import org.parallelcomp.api.backend.Rope;
import org.parallelcomp.api.cache.KvLayer;
import org.parallelcomp.api.cache.TokenSelection;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Shape;
import org.parallelcomp.api.tensor.Tensor;
import org.parallelcomp.backend.cuda.SharedConstants.Lease;
import org.parallelcomp.backend.cuda.ffi.CudaFunction.Grid;
import org.parallelcomp.backend.cuda.ffi.LaunchArguments;

/**
 * Key-value caches. Which tokens are kept is known to the device only, so a selection's positions
 * are not checked here.
 */
final class CudaCacheOps implements CacheOps {
  private static final int THREADS = 256;
  private static final int MOVE_BYTES = 16;

  private final CudaRuntime runtime;
  private final HeadTables tables;

  CudaCacheOps(CudaRuntime runtime, HeadTables tables) {
    this.runtime = runtime;
    this.tables = tables;
  }

  /** Returns whether keys and values may have this type. */
  static boolean isCacheType(DType dtype) {
    return dtype == DType.F32 || dtype == DType.F16 || dtype == DType.BF16;
  }

  @Override
  public KvLayer allocate(MemoryScope scope, DType dtype, int[] capacities, int headDim) {
    if (!isCacheType(dtype)) {
      throw new InferenceException(
          ErrorCode.UNSUPPORTED_OPERATION,
          "The CUDA backend keeps keys and values as F32, F16 or BF16, not as " + dtype + ".");
    }
    CudaMemoryScope owner = CudaMemoryScope.of(scope);
    long slots = Arrays.stream(capacities).asLongStream().sum();
    var parts = new ArrayList<CudaTensor>();
    try {
      // cuDNN multiplies what lies behind the last token by zero, which NaN would outlive.
      parts.add(owner.allocate(dtype, Shape.of(slots, headDim)));
      parts.add(owner.allocate(dtype, Shape.of(slots, headDim)));
      parts.add(owner.allocateUndefined(DType.I32, Shape.of(slots)));
      var layer = new KvLayer(parts.get(0), parts.get(1), parts.get(2), capacities);
      tables.register(layer, owner);
      return layer;
    } catch (RuntimeException e) {
      parts.forEach(owner::free);
      throw e;
    }
  }

  @Override
  public void append(KvLayer layer, Tensor keys, Tensor values, Tensor positions) {
    int tokens = keys.shape().intDim(0);
    int kvHeads = layer.kvHeads();
    int headDim = layer.headDim();
    layer.requireAppendable(keys, values, positions);
    if (tokens > 0) {
      int groups = (headDim + 7) / 8;
      long table = (long) tokens * groups <= THREADS ? tables.ranges(layer) : 0;
      if (table != 0) {
        launchAppend("append_next_", 1, layer, keys, values, positions, table, tokens);
        tables.counted(layer, tokens);
      } else {
        int[] firstSlots = new int[kvHeads];
        Arrays.setAll(firstSlots, head -> layer.firstSlot(head) + layer.tokens(head));
        long blocks = ((long) tokens * groups + THREADS - 1) / THREADS;
        try (Lease slots = runtime.constant(firstSlots)) {
          launchAppend("append_", blocks, layer, keys, values, positions, slots.address(), tokens);
        }
      }
    }
    for (int head = 0; head < kvHeads; head++) {
      layer.setTokens(head, layer.tokens(head) + tokens);
    }
  }

  /**
   * Launches a kernel that appends.
   *
   * @param heads the address of a table of the heads
   */
  private void launchAppend(
      String kernel,
      long blocks,
      KvLayer layer,
      Tensor keys,
      Tensor values,
      Tensor positions,
      long heads,
      int tokens) {
    CudaTensor fromKeys = CudaTensor.floats(keys).gapless("a key");
    CudaTensor fromValues = CudaTensor.floats(values).gapless("a value");
    runtime.launch(
        KernelSource.CACHE,
        kernel + Moves.suffix(layer.keys().dtype()),
        new Grid(blocks, layer.kvHeads(), 1),
        THREADS,
        0,
        LaunchArguments.begin()
            .address(address(layer.keys()))
            .address(address(layer.values()))
            .address(address(layer.positions()))
            .address(fromKeys.address())
            .address(fromValues.address())
            .address(CudaTensor.ints(positions).address())
            .number(layer.headDim())
            .number(fromKeys.stride(0))
            .number(fromKeys.stride(1))
            .number(fromValues.stride(0))
            .number(fromValues.stride(1))
            .address(heads)
            .number(tokens));
  }

  @Override
  public KvLayer compact(
      MemoryScope scope, KvLayer source, int fromToken, TokenSelection selection) {
    int kvHeads = source.kvHeads();
    source.requireSelectable(fromToken, selection);
    int[] kept = selection.keptTokens();
    KvLayer target = allocate(scope, source.keys().dtype(), kept, source.headDim());
    int[] offsets = CudaTensorOps.offsets(kept);
    Move[] moves = new Move[kvHeads];
    for (int head = 0; head < kvHeads; head++) {
      moves[head] =
          new Move(
              target.firstSlot(head),
              source.firstSlot(head) + fromToken,
              kept[head],
              offsets[head]);
    }
    long indices = selection.indices().map(i -> CudaTensor.ints(i).address()).orElse(0L);
    move(target, source, moves, indices);
    for (int head = 0; head < kvHeads; head++) {
      target.setTokens(head, kept[head]);
    }
    return target;
  }

  @Override
  public void concatenate(KvLayer target, KvLayer source) {
    int kvHeads = target.kvHeads();
    target.requireConcatenable(source);
    Move[] moves = new Move[kvHeads];
    for (int head = 0; head < kvHeads; head++) {
      moves[head] =
          new Move(
              target.firstSlot(head) + target.tokens(head),
              source.firstSlot(head),
              source.tokens(head),
              0);
    }
    move(target, source, moves, 0);
    for (int head = 0; head < kvHeads; head++) {
      target.setTokens(head, target.tokens(head) + source.tokens(head));
    }
  }

  /**
   * Slots of one head to be copied.
   *
   * @param target the first slot that is written
   * @param source the slot from which indices count
   * @param count how many
   * @param index where the head's indices begin
   */
  private record Move(int target, int source, int count, int index) {}

  private Lease upload(Move[] moves) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment list = arena.allocate((long) MOVE_BYTES * moves.length, 4);
      for (int i = 0; i < moves.length; i++) {
        long at = (long) MOVE_BYTES * i;
        list.set(ValueLayout.JAVA_INT, at, moves[i].target);
        list.set(ValueLayout.JAVA_INT, at + 4, moves[i].source);
        list.set(ValueLayout.JAVA_INT, at + 8, moves[i].count);
        list.set(ValueLayout.JAVA_INT, at + 12, moves[i].index);
      }
      return runtime.constant(list);
    }
  }

  private void move(KvLayer target, KvLayer source, Move[] moves, long indices) {
    int most = Arrays.stream(moves).mapToInt(Move::count).max().orElse(0);
    if (most == 0) {
      return;
    }
    int rowBytes = Math.toIntExact(source.keys().dtype().bytes(source.headDim()));
    try (Lease list = upload(moves)) {
      runtime.launch(
          KernelSource.CACHE,
          "move_tokens",
          new Grid(((long) most * ((rowBytes + 15) / 16) + THREADS - 1) / THREADS, moves.length, 1),
          THREADS,
          0,
          LaunchArguments.begin()
              .address(address(target.keys()))
              .address(address(target.values()))
              .address(address(target.positions()))
              .address(address(source.keys()))
              .address(address(source.values()))
              .address(address(source.positions()))
              .address(list.address())
              .address(indices)
              .number(rowBytes));
    }
  }

  @Override
  public void rerotate(KvLayer layer, int firstPosition, Rope rope) {
    Arguments.requireRerotate(layer, firstPosition, rope);
    if (layer.maxTokens() == 0) {
      return;
    }
    Move[] heads = new Move[layer.kvHeads()];
    for (int head = 0; head < heads.length; head++) {
      heads[head] = new Move(layer.firstSlot(head), 0, layer.tokens(head), 0);
    }
    try (Lease list = upload(heads)) {
      runtime.launch(
          KernelSource.CACHE,
          "rerotate_" + Moves.suffix(layer.keys().dtype()),
          new Grid((layer.maxTokens() + 7) / 8, heads.length, 1),
          THREADS,
          0,
          LaunchArguments.begin()
              .address(address(layer.keys()))
              .address(address(layer.positions()))
              .address(list.address())
              .number(firstPosition)
              .address(CudaTensor.floats(rope.cosines()).contiguous("cosines").address())
              .address(CudaTensor.floats(rope.sines()).contiguous("sines").address())
              .number(layer.headDim())
              .number(rope.rotaryDims() / 2)
              .number(rope.style().ordinal()));
    }
  }

  private static long address(Tensor tensor) {
    return CudaTensor.of(tensor).address();
  }
}
