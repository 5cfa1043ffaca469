package org.parallelcomp.backend.onnx;

import java.lang.foreign.MemorySegment;
import java.util.List;
import org.parallelcomp.api.backend.Arguments;
import org.parallelcomp.api.backend.Rope;
import org.parallelcomp.api.cache.KvLayer;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Tensor;
import org.parallelcomp.backend.host.HostCacheOps;
import org.parallelcomp.backend.host.HostMemory;
import org.parallelcomp.backend.host.HostTensor;
import org.parallelcomp.backend.host.Rows;

/** Key-value caches of F32: copies of rows by plain Java, for which a graph would have no use. */
final class OnnxCacheOps extends HostCacheOps {
  OnnxCacheOps(HostMemory memory) {
    super(memory, List.of(DType.F32));
  }

  /** Returns whether keys and values may have this type. */
  static boolean isCacheType(DType dtype) {
    return dtype == DType.F32;
  }

  @Override
  public void append(KvLayer layer, Tensor keys, Tensor values, Tensor positions) {
    int tokens = keys.shape().intDim(0);
    int kvHeads = layer.kvHeads();
    layer.requireAppendable(keys, values, positions);
    Rows keyRows = memory.floats(keys).gapless("keys");
    Rows valueRows = memory.floats(values).gapless("values");
    int[] newPositions = memory.ints(positions).toInts();
    for (int head = 0; head < kvHeads; head++) {
      long slot = (long) layer.firstSlot(head) + layer.tokens(head);
      for (int token = 0; token < tokens; token++) {
        copyRow(keyRows, (long) token * kvHeads + head, layer.keys(), slot + token);
        copyRow(valueRows, (long) token * kvHeads + head, layer.values(), slot + token);
      }
      writePositions(layer, slot, newPositions);
      layer.setTokens(head, layer.tokens(head) + tokens);
    }
  }

  @Override
  public void rerotate(KvLayer layer, int firstPosition, Rope rope) {
    Arguments.requireRerotate(layer, firstPosition, rope);
    Rotation rotation = new Rotation(rope);
    HostTensor keys = memory.tensor(layer.keys());
    HostTensor positions = memory.tensor(layer.positions());
    int headDim = layer.headDim();
    float[] row = new float[headDim];
    for (int head = 0; head < layer.kvHeads(); head++) {
      for (int token = 0; token < layer.tokens(head); token++) {
        long slot = (long) layer.firstSlot(head) + token;
        long position = positions.startByte() + 4 * slot;
        long key = keys.startByte() + keys.dtype().bytes(slot * headDim);
        int old = positions.storage().get(Rows.INT, position);
        MemorySegment.copy(keys.storage(), Rows.FLOAT, key, row, 0, headDim);
        rotation.rotate(row, old, firstPosition + token);
        MemorySegment.copy(row, 0, keys.storage(), Rows.FLOAT, key, headDim);
        positions.storage().set(Rows.INT, position, firstPosition + token);
      }
    }
  }

  /** Turns a key from the position at which it was rotated to another one. */
  private final class Rotation {
    private final float[] cosines;
    private final float[] sines;
    private final int half;
    private final boolean interleaved;

    Rotation(Rope rope) {
      cosines = memory.numbers(rope.cosines());
      sines = memory.numbers(rope.sines());
      half = rope.rotaryDims() / 2;
      interleaved = rope.style() == Rope.Style.INTERLEAVED;
    }

    /**
     * Rotates by the difference of two angles. A table may scale what it rotates (arXiv
     * 2309.00071), which a key has had done to it already, so the difference is divided by the
     * square of that.
     */
    void rotate(float[] key, int from, int to) {
      for (int i = 0; i < half; i++) {
        double toCos = cosines[to * half + i];
        double toSin = sines[to * half + i];
        double fromCos = cosines[from * half + i];
        double fromSin = sines[from * half + i];
        double square = fromCos * fromCos + fromSin * fromSin;
        double cos = (toCos * fromCos + toSin * fromSin) / square;
        double sin = (toSin * fromCos - toCos * fromSin) / square;
        int first = interleaved ? 2 * i : i;
        int second = interleaved ? 2 * i + 1 : i + half;
        double a = key[first];
        double b = key[second];
        key[first] = (float) (a * cos - b * sin);
        key[second] = (float) (a * sin + b * cos);
      }
    }
  }

  private void copyRow(Rows from, long row, Tensor to, long slot) {
    HostTensor target = memory.tensor(to);
    MemorySegment.copy(
        from.storage(),
        from.byteOf(row),
        target.storage(),
        target.startByte() + 4 * slot * from.length(),
        4L * from.length());
  }
}
