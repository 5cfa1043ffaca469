package org.parallelcomp.backend.host;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.List;
import java.util.function.IntConsumer;
import java.util.stream.Collectors;
import org.parallelcomp.api.backend.CacheOps;
import org.parallelcomp.api.backend.MemoryScope;
import org.parallelcomp.api.cache.KvLayer;
import org.parallelcomp.api.cache.TokenSelection;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Shape;
import org.parallelcomp.api.tensor.Tensor;

/** Key-value caches in the host's memory: what only copies rows, whatever their type. */
public abstract class HostCacheOps implements CacheOps {
  protected final HostMemory memory;
  private final List<DType> types;

  /**
   * @param types what keys and values may be
   */
  protected HostCacheOps(HostMemory memory, List<DType> types) {
    this.memory = memory;
    this.types = types;
  }

  /** Does something for each kv head; a backend with workers may do it for several at once. */
  protected void forHeads(int heads, long numbersPerHead, IntConsumer body) {
    for (int head = 0; head < heads; head++) {
      body.accept(head);
    }
  }

  @Override
  public KvLayer allocate(MemoryScope scope, DType dtype, int[] capacities, int headDim) {
    if (!types.contains(dtype)) {
      throw new InferenceException(
          ErrorCode.UNSUPPORTED_OPERATION,
          "The "
              + memory.backend()
              + " backend keeps keys and values as "
              + types.stream().map(DType::name).collect(Collectors.joining(" or "))
              + ", not "
              + dtype
              + ".");
    }
    long slots = Arrays.stream(capacities).asLongStream().sum();
    return new KvLayer(
        scope.allocate(dtype, Shape.of(slots, headDim)),
        scope.allocate(dtype, Shape.of(slots, headDim)),
        scope.allocate(DType.I32, Shape.of(slots)),
        capacities);
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
    forHeads(
        kvHeads,
        (long) selection.tokens() * source.headDim(),
        head -> {
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
        });
    for (int head = 0; head < kvHeads; head++) {
      target.setTokens(head, kept[head]);
    }
    return target;
  }

  @Override
  public void concatenate(KvLayer target, KvLayer source) {
    target.requireConcatenable(source);
    forHeads(
        target.kvHeads(),
        (long) source.maxTokens() * source.headDim(),
        head ->
            copySlots(
                source,
                source.firstSlot(head),
                target,
                (long) target.firstSlot(head) + target.tokens(head),
                source.tokens(head)));
    for (int head = 0; head < target.kvHeads(); head++) {
      target.setTokens(head, target.tokens(head) + source.tokens(head));
    }
  }

  private void copySlots(KvLayer from, long fromSlot, KvLayer to, long toSlot, int count) {
    int headDim = from.headDim();
    long numbers = (long) count * headDim;
    copy(from.keys(), fromSlot * headDim, to.keys(), toSlot * headDim, numbers);
    copy(from.values(), fromSlot * headDim, to.values(), toSlot * headDim, numbers);
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

  /** Writes the positions of tokens that lie in neighbouring slots. */
  protected void writePositions(KvLayer layer, long slot, int[] from) {
    HostTensor positions = memory.tensor(layer.positions());
    MemorySegment.copy(
        from, 0, positions.storage(), Rows.INT, positions.startByte() + 4 * slot, from.length);
  }
}
