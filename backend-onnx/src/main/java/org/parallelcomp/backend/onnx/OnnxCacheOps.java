package org.parallelcomp.backend.onnx;

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
import org.parallelcomp.backend.host.HostMemory;
import org.parallelcomp.backend.host.HostTensor;
import org.parallelcomp.backend.host.Rows;

/** Key-value caches of F32: copies of rows by plain Java, for which a graph would have no use. */
final class OnnxCacheOps implements CacheOps {
  private final HostMemory memory;

  OnnxCacheOps(HostMemory memory) {
    this.memory = memory;
  }

  /** Returns whether keys and values may have this type. */
  static boolean isCacheType(DType dtype) {
    return dtype == DType.F32;
  }

  @Override
  public KvLayer allocate(MemoryScope scope, DType dtype, int[] capacities, int headDim) {
    if (!isCacheType(dtype)) {
      throw new InferenceException(
          ErrorCode.UNSUPPORTED_OPERATION,
          "The ONNX backend keeps keys and values as F32, not " + dtype + ".");
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
    Rows keyRows = memory.floats(keys).gapless("keys");
    Rows valueRows = memory.floats(values).gapless("values");
    int[] newPositions = memory.ints(positions).toInts();
    for (int head = 0; head < kvHeads; head++) {
      long slot = (long) layer.firstSlot(head) + layer.tokens(head);
      for (int token = 0; token < tokens; token++) {
        copyRow(keyRows, (long) token * kvHeads + head, layer.keys(), slot + token);
        copyRow(valueRows, (long) token * kvHeads + head, layer.values(), slot + token);
      }
      HostTensor ofSlots = memory.tensor(layer.positions());
      MemorySegment.copy(
          newPositions, 0, ofSlots.storage(), Rows.INT, ofSlots.startByte() + 4 * slot, tokens);
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
    for (int head = 0; head < kvHeads; head++) {
      long from = (long) source.firstSlot(head) + fromToken;
      long to = target.firstSlot(head);
      // Runs of neighbours are copied as one.
      int run;
      for (int i = 0; i < kept[head]; i += run) {
        int first = everything ? i : indices[firstIndex[head] + i];
        run = everything ? kept[head] : 1;
        while (!everything
            && i + run < kept[head]
            && indices[firstIndex[head] + i + run] == first + run) {
          run++;
        }
        copySlots(source, from + first, target, to + i, run);
      }
    }
    for (int head = 0; head < kvHeads; head++) {
      target.setTokens(head, kept[head]);
    }
    return target;
  }

  @Override
  public void concatenate(KvLayer target, KvLayer source) {
    target.requireConcatenable(source);
    for (int head = 0; head < target.kvHeads(); head++) {
      copySlots(
          source,
          source.firstSlot(head),
          target,
          (long) target.firstSlot(head) + target.tokens(head),
          source.tokens(head));
    }
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
}
