package org.parallelcomp.backend.cpu.vector;

import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.function.IntConsumer;
import org.parallelcomp.api.backend.Arguments;
import org.parallelcomp.api.backend.Rope;
import org.parallelcomp.api.cache.KvLayer;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Tensor;
import org.parallelcomp.backend.cpu.vector.simd.KeyValues;
import org.parallelcomp.backend.host.HostCacheOps;
import org.parallelcomp.backend.host.HostTensor;
import org.parallelcomp.backend.host.Rows;

/** Key-value caches: copies of rows, one kv head per task. */
final class CpuCacheOps extends HostCacheOps {
  private static final List<DType> TYPES = List.of(DType.F32, DType.F16, DType.BF16);

  private final CpuKernels kernels;

  CpuCacheOps(CpuKernels kernels) {
    super(kernels.memory, TYPES);
    this.kernels = kernels;
  }

  /** Returns whether keys and values may have this type. */
  static boolean isCacheType(DType dtype) {
    return TYPES.contains(dtype);
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
                  writePositions(layer, slot, newPositions);
                }));
    for (int head = 0; head < kvHeads; head++) {
      layer.setTokens(head, layer.tokens(head) + tokens);
    }
  }

  @Override
  public void rerotate(KvLayer layer, int firstPosition, Rope rope) {
    Arguments.requireRerotate(layer, firstPosition, rope);
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

  @Override
  protected void forHeads(int heads, long numbersPerHead, IntConsumer body) {
    kernels.alone(() -> forHeads(heads, numbersPerHead, (head, _) -> body.accept(head)));
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
