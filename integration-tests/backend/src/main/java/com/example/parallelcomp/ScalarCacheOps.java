package com.example.parallelcomp;

import static com.example.parallelcomp.ScalarTensor.integers;
import static com.example.parallelcomp.ScalarTensor.numbers;
import static com.example.parallelcomp.ScalarTensor.rows;
import static com.example.parallelcomp.ScalarTensor.write;

import java.util.Arrays;
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

/** The key-value cache: rows of keys, values and positions that move from slots to slots. */
final class ScalarCacheOps implements CacheOps {
  @Override
  public KvLayer allocate(MemoryScope scope, DType dtype, int[] capacities, int headDim) {
    if (dtype != DType.F32) {
      throw Elements.unsupported(dtype);
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
    layer.requireAppendable(keys, values, positions);
    int added = keys.shape().intDim(0);
    for (int h = 0; h < layer.kvHeads(); h++) {
      write(newSlots(layer.keys(), layer, h, added), rows(keys.slice(1, h, h + 1)));
      write(newSlots(layer.values(), layer, h, added), rows(values.slice(1, h, h + 1)));
      write(newSlots(layer.positions(), layer, h, added), rows(positions));
    }
    for (int h = 0; h < layer.kvHeads(); h++) {
      layer.setTokens(h, layer.tokens(h) + added);
    }
  }

  /** Returns the free slots just behind the tokens of a head. */
  private static Tensor newSlots(Tensor part, KvLayer layer, int h, int count) {
    int first = layer.firstSlot(h) + layer.tokens(h);
    return part.slice(0, first, first + count);
  }

  @Override
  public KvLayer compact(
      MemoryScope scope, KvLayer source, int fromToken, TokenSelection selection) {
    source.requireSelectable(fromToken, selection);
    KvLayer target =
        allocate(scope, source.keys().dtype(), selection.keptTokens(), source.headDim());
    int[] kept =
        selection.keepsEverything()
            ? IntStream.range(0, selection.kvHeads() * selection.tokens())
                .map(i -> i % selection.tokens())
                .toArray()
            : integers(selection.indices().orElseThrow());
    int next = 0;
    for (int h = 0; h < source.kvHeads(); h++) {
      int first = source.firstSlot(h) + fromToken;
      int count = selection.keptTokens(h);
      int[] slots = Arrays.stream(kept, next, next + count).map(t -> first + t).toArray();
      move(source, slots, target, h);
      next += count;
    }
    return target;
  }

  @Override
  public void concatenate(KvLayer target, KvLayer source) {
    target.requireConcatenable(source);
    for (int h = 0; h < source.kvHeads(); h++) {
      int first = source.firstSlot(h);
      move(source, IntStream.range(first, first + source.tokens(h)).toArray(), target, h);
    }
  }

  /** Appends what lies in some slots of a layer to a head of another. */
  private static void move(KvLayer source, int[] slots, KvLayer target, int h) {
    double[][] k = rows(source.keys());
    double[][] v = rows(source.values());
    double[] at = numbers(source.positions());
    int n = slots.length;
    write(newSlots(target.keys(), target, h, n), pick(k, slots));
    write(newSlots(target.values(), target, h, n), pick(v, slots));
    write(
        newSlots(target.positions(), target, h, n),
        IntStream.of(slots).mapToDouble(s -> at[s]).toArray());
    target.setTokens(h, target.tokens(h) + n);
  }

  private static double[][] pick(double[][] rows, int[] which) {
    return IntStream.of(which).mapToObj(i -> rows[i]).toArray(double[][]::new);
  }

  @Override
  public void rerotate(KvLayer layer, int firstPosition, Rope rope) {
    Arguments.requireRerotate(layer, firstPosition, rope);
    double[][] k = rows(layer.keys());
    double[] at = numbers(layer.positions());
    var rotation = new Rotation(rope);
    for (int h = 0; h < layer.kvHeads(); h++) {
      for (int t = 0; t < layer.tokens(h); t++) {
        int slot = layer.firstSlot(h) + t;
        rotation.turnBack(k[slot], (int) at[slot]);
        rotation.turn(k[slot], firstPosition + t);
        at[slot] = firstPosition + t;
      }
    }
    write(layer.keys(), k);
    write(layer.positions(), at);
  }
}
