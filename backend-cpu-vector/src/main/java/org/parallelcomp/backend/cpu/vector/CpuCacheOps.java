package org.parallelcomp.backend.cpu.vector;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;
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
import org.parallelcomp.backend.cpu.vector.simd.KeyValues;
import org.parallelcomp.backend.host.HostMemory;
import org.parallelcomp.backend.host.HostTensor;
import org.parallelcomp.backend.host.Rows;

/** Key-value caches: copies of rows, one kv head per task. */
final class CpuCacheOps implements CacheOps {
  private final CpuKernels kernels;
  private final HostMemory memory;

  CpuCacheOps(CpuKernels kernels) {
    this.kernels = kernels;
    this.memory = kernels.memory;
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
          "The CPU backend keeps keys and values as F32, F16 or BF16, not " + dtype + ".");
    }
    long slots = Arrays.stream(capacities).asLongStream().sum();
    return new KvLayer(
        scope.allocate(dtype, Shape.of(slots, headDim)),
        scope.allocate(dtype, Shape.of(slots, headDim)),
        scope.allocate(DType.I32, Shape.of(slots)),
        capacities);
  }

  @Override
  public void append(KvLayer layer, Tensor keys, Tensor values, Tensor positions) {
    int tokens = keys.shape().intDim(0);
    int kvHeads = layer.kvHeads();
    int headDim = layer.headDim();
    layer.requireAppendable(keys, values, positions);
    Rows keyRows = memory.floats(keys);
    Rows valueRows = memory.floats(values);
    int[] newPositions = memory.ints(positions).toInts();
    HostTensor toKeys = memory.tensor(layer.keys());
    HostTensor toValues = memory.tensor(layer.values());
    kernels.alone(
        () ->
            forHeads(
                kvHeads,
                (long) tokens * headDim,
                (head, worker) -> {
                  float[] row = kernels.scratch(worker, 0, headDim);
                  long slot = layer.firstSlot(head) + layer.tokens(head);
                  for (int token = 0; token < tokens; token++) {
                    keyRows.read((long) token * kvHeads + head, row, 0);
                    write(toKeys, (slot + token) * headDim, row, headDim);
                    valueRows.read((long) token * kvHeads + head, row, 0);
                    write(toValues, (slot + token) * headDim, row, headDim);
                  }
                  writePositions(layer, slot, newPositions, 0, tokens);
                }));
    for (int head = 0; head < kvHeads; head++) {
      layer.setTokens(head, layer.tokens(head) + tokens);
    }
  }

  @Override
  public KvLayer compact(
      MemoryScope scope, KvLayer source, int fromToken, TokenSelection selection) {
    int kvHeads = source.kvHeads();
    source.requireSelectable(fromToken, selection);
    int[] kept = selection.keptTokens();
    int[] firstIndex = new int[kvHeads + 1];
    for (int head = 0; head < kvHeads; head++) {
      firstIndex[head + 1] = firstIndex[head] + kept[head];
    }
    int[] indices = selection.indices().map(i -> memory.ints(i).toInts()).orElse(new int[0]);
    boolean everything = selection.indices().isEmpty();
    for (int head = 0; head < kvHeads; head++) {
      int last = -1;
      for (int i = firstIndex[head]; !everything && i < firstIndex[head + 1]; i++) {
        if (indices[i] <= last || indices[i] >= selection.tokens()) {
          throw new InferenceException(
              ErrorCode.INTERNAL,
              "Head "
                  + head
                  + " of a selection of "
                  + selection.tokens()
                  + " tokens has "
                  + indices[i]
                  + " behind "
                  + last
                  + ".");
        }
        last = indices[i];
      }
    }
    KvLayer target = allocate(scope, source.keys().dtype(), kept, source.headDim());
    kernels.alone(
        () ->
            forHeads(
                kvHeads,
                (long) selection.tokens() * source.headDim(),
                (head, worker) -> {
                  long from = (long) source.firstSlot(head) + fromToken;
                  long to = target.firstSlot(head);
                  for (int i = 0; i < kept[head]; i++) {
                    // Runs of neighbours are copied as one.
                    int run = 1;
                    int first = everything ? i : indices[firstIndex[head] + i];
                    if (everything) {
                      run = kept[head];
                    } else {
                      while (i + run < kept[head]
                          && indices[firstIndex[head] + i + run] == first + run) {
                        run++;
                      }
                    }
                    copySlots(source, from + first, target, to + i, run);
                    i += run - 1;
                  }
                }));
    for (int head = 0; head < kvHeads; head++) {
      target.setTokens(head, kept[head]);
    }
    return target;
  }

  @Override
  public void concatenate(KvLayer target, KvLayer source) {
    target.requireConcatenable(source);
    kernels.alone(
        () ->
            forHeads(
                target.kvHeads(),
                (long) source.maxTokens() * source.headDim(),
                (head, worker) ->
                    copySlots(
                        source,
                        source.firstSlot(head),
                        target,
                        (long) target.firstSlot(head) + target.tokens(head),
                        source.tokens(head))));
    for (int head = 0; head < target.kvHeads(); head++) {
      target.setTokens(head, target.tokens(head) + source.tokens(head));
    }
  }

  @Override
  public void rerotate(KvLayer layer, int firstPosition, Rope rope) {
    if (firstPosition < 0 || firstPosition + layer.maxTokens() > rope.positions()) {
      throw new InferenceException(
          ErrorCode.INTERNAL,
          layer.maxTokens()
              + " keys from position "
              + firstPosition
              + " on exceed the "
              + rope.positions()
              + " positions of the rotary table.");
    }
    RopeTable table = RopeTable.of(memory, rope);
    HostTensor keys = memory.tensor(layer.keys());
    HostTensor positions = memory.tensor(layer.positions());
    int headDim = layer.headDim();
    kernels.alone(
        () ->
            forHeads(
                layer.kvHeads(),
                (long) layer.maxTokens() * headDim,
                (head, worker) -> {
                  KeyValues keyValues = CpuAttentionOps.keyValues(memory, layer, head);
                  float[] row = kernels.scratch(worker, 0, headDim);
                  float[] cos = kernels.scratch(worker, 1, 4 * table.dims());
                  float[] sin = kernels.scratch(worker, 2, 4 * table.dims());
                  for (int token = 0; token < layer.tokens(head); token++) {
                    long slot = (long) layer.firstSlot(head) + token;
                    long at = positions.startByte() + 4 * slot;
                    int old = positions.storage().get(Rows.INT, at);
                    keyValues.readKey(token, row);
                    table.loadDifference(firstPosition + token, old, cos, sin);
                    table.rotate(row, 0, cos, sin);
                    write(keys, slot * headDim, row, headDim);
                    positions.storage().set(Rows.INT, at, firstPosition + token);
                  }
                }));
  }

  private interface HeadBody {
    void run(int head, int worker);
  }

  /** Runs one task per head; a little work stays with the caller. */
  private void forHeads(int heads, long numbersPerHead, HeadBody body) {
    if (heads * numbersPerHead < 16_384) {
      for (int head = 0; head < heads; head++) {
        body.run(head, 0);
      }
    } else {
      kernels.workers().run(heads, body::run);
    }
  }

  private void copySlots(KvLayer from, long fromSlot, KvLayer to, long toSlot, int count) {
    copy(
        from.keys(),
        fromSlot * from.headDim(),
        to.keys(),
        toSlot * to.headDim(),
        (long) count * from.headDim());
    copy(
        from.values(),
        fromSlot * from.headDim(),
        to.values(),
        toSlot * to.headDim(),
        (long) count * from.headDim());
    copy(from.positions(), fromSlot, to.positions(), toSlot, count);
  }

  private void copy(Tensor from, long fromNumber, Tensor to, long toNumber, long count) {
    HostTensor source = memory.tensor(from);
    HostTensor target = memory.tensor(to);
    MemorySegment.copy(
        source.storage(),
        source.startByte() + source.dtype().bytes(fromNumber),
        target.storage(),
        target.startByte() + target.dtype().bytes(toNumber),
        source.dtype().bytes(count));
  }

  private void writePositions(KvLayer layer, long slot, int[] from, int at, int count) {
    HostTensor positions = memory.tensor(layer.positions());
    MemorySegment.copy(
        from, at, positions.storage(), Rows.INT, positions.startByte() + 4 * slot, count);
  }

  /** Writes numbers to a contiguous tensor of F32, F16 or BF16. */
  private static void write(HostTensor to, long number, float[] from, int count) {
    MemorySegment storage = to.storage();
    long at = to.startByte() + to.dtype().bytes(number);
    switch (to.dtype()) {
      case F32 -> MemorySegment.copy(from, 0, storage, Rows.FLOAT, at, count);
      case F16 -> {
        for (int i = 0; i < count; i++) {
          storage.set(Rows.SHORT, at + 2L * i, Float.floatToFloat16(from[i]));
        }
      }
      case BF16 -> {
        for (int i = 0; i < count; i++) {
          storage.set(Rows.SHORT, at + 2L * i, upperHalf(from[i]));
        }
      }
      default -> throw new AssertionError(to.dtype());
    }
  }

  /** Rounds to the nearest BF16, ties to even. */
  private static short upperHalf(float x) {
    int bits = Float.floatToIntBits(x);
    if (Float.isNaN(x)) {
      return (short) (bits >>> 16);
    }
    return (short) (bits + 0x7FFF + (bits >>> 16 & 1) >>> 16);
  }
}
