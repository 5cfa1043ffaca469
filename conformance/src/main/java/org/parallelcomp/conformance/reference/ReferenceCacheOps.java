package org.parallelcomp.conformance.reference;

import java.util.stream.IntStream;
import org.parallelcomp.api.backend.Arguments;
import org.parallelcomp.api.backend.CacheOps;
import org.parallelcomp.api.backend.MemoryScope;
import org.parallelcomp.api.backend.Rope;
import org.parallelcomp.api.cache.KvLayer;
import org.parallelcomp.api.cache.TokenSelection;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Shape;
import org.parallelcomp.api.tensor.Tensor;

/** The operations on a layer's cache, one slot after another. */
final class ReferenceCacheOps implements CacheOps {
  @Override
  public KvLayer allocate(MemoryScope scope, DType dtype, int[] capacities, int headDim) {
    Require.supported(Require.isCacheType(dtype), "cache", dtype);
    long slots = IntStream.of(capacities).asLongStream().sum();
    return new KvLayer(
        scope.allocate(dtype, Shape.of(slots, headDim)),
        scope.allocate(dtype, Shape.of(slots, headDim)),
        scope.allocate(DType.I32, Shape.of(slots)),
        capacities);
  }

  @Override
  public void append(KvLayer layer, Tensor keys, Tensor values, Tensor positions) {
    int added = keys.shape().intDim(0);
    layer.requireAppendable(keys, values, positions);
    // Read before anything is said to be there.
    ReferenceTensor.read(keys);
    ReferenceTensor.read(values);
    ReferenceTensor.readInts(positions);
    for (int h = 0; h < layer.kvHeads(); h++) {
      int from = layer.tokens(h);
      layer.setTokens(h, from + added);
      for (int t = 0; t < added; t++) {
        int slot = layer.firstSlot(h) + from + t;
        copy(layer.keys(), slot, keys.slice(0, t, t + 1).slice(1, h, h + 1));
        copy(layer.values(), slot, values.slice(0, t, t + 1).slice(1, h, h + 1));
        copy(layer.positions(), slot, positions.slice(0, t, t + 1));
      }
    }
  }

  private static void copy(Tensor slots, int slot, Tensor row) {
    ReferenceTensor.write(slots.slice(0, slot, slot + 1), ReferenceTensor.read(row));
  }

  private static void copySlot(KvLayer target, int slot, KvLayer source, int sourceSlot) {
    copy(target.keys(), slot, source.keys().slice(0, sourceSlot, sourceSlot + 1));
    copy(target.values(), slot, source.values().slice(0, sourceSlot, sourceSlot + 1));
    copy(target.positions(), slot, source.positions().slice(0, sourceSlot, sourceSlot + 1));
  }

  @Override
  public KvLayer compact(
      MemoryScope scope, KvLayer source, int fromToken, TokenSelection selection) {
    int[] kept = selection.keptTokens();
    source.requireSelectable(fromToken, selection);
    KvLayer target = allocate(scope, source.keys().dtype(), kept, source.headDim());
    int[] indices = selection.indices().map(ReferenceTensor::readInts).orElse(new int[0]);
    int next = 0;
    for (int h = 0; h < kept.length; h++) {
      target.setTokens(h, kept[h]);
      for (int i = 0; i < kept[h]; i++) {
        int token = fromToken + (selection.indices().isPresent() ? indices[next++] : i);
        copySlot(target, target.firstSlot(h) + i, source, source.firstSlot(h) + token);
      }
    }
    return target;
  }

  @Override
  public void concatenate(KvLayer target, KvLayer source) {
    target.requireConcatenable(source);
    for (int h = 0; h < target.kvHeads(); h++) {
      int from = target.tokens(h);
      target.setTokens(h, from + source.tokens(h));
      for (int t = 0; t < source.tokens(h); t++) {
        copySlot(target, target.firstSlot(h) + from + t, source, source.firstSlot(h) + t);
      }
    }
  }

  @Override
  public void rerotate(KvLayer layer, int firstPosition, Rope rope) {
    Arguments.requireRerotate(layer, firstPosition, rope);
    var rotation = new Rotation(rope);
    for (int h = 0; h < layer.kvHeads(); h++) {
      for (int t = 0; t < layer.tokens(h); t++) {
        int slot = layer.firstSlot(h) + t;
        Tensor key = layer.keys().slice(0, slot, slot + 1);
        Tensor position = layer.positions().slice(0, slot, slot + 1);
        double[] x = ReferenceTensor.read(key);
        rotation.turnBack(x, 0, ReferenceTensor.readInts(position)[0]);
        rotation.turn(x, 0, firstPosition + t);
        ReferenceTensor.write(key, x);
        ReferenceTensor.write(position, new double[] {firstPosition + t});
      }
    }
  }
}
