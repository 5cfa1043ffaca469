package org.parallelcomp.backend.cuda;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.Map;
import java.util.WeakHashMap;
import org.jspecify.annotations.Nullable;
import org.parallelcomp.api.cache.KvLayer;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Shape;

/**
 * How many tokens each head of a layer holds, as the device knows it, at one place as long as the
 * layer lives. The kernel that appends a few tokens counts them there itself, so that the launches
 * of decoding are the same at every step. The host knows what the device has counted; where a layer
 * was changed in any other way, its table is written anew before it is read.
 */
final class HeadTables {
  /** The bytes of a Range: first slot, from, to, unused. */
  static final int RANGE_BYTES = 16;

  private final CudaRuntime runtime;
  private final Map<KvLayer, Table> tables = new WeakHashMap<>();

  HeadTables(CudaRuntime runtime) {
    this.runtime = runtime;
  }

  private static final class Table {
    private final CudaMemoryScope owner;
    private @Nullable CudaTensor ranges;

    /** Tokens per head when all launches so far are done. */
    private int[] tokens = {};

    Table(CudaMemoryScope owner) {
      this.owner = owner;
    }
  }

  /** Gives a layer a table, which lives as long as a scope. */
  synchronized void register(KvLayer layer, CudaMemoryScope owner) {
    tables.put(layer, new Table(owner));
  }

  /**
   * Returns the address of the ranges of all tokens of each head, or 0 for a layer that has no
   * table, as a view has none.
   */
  synchronized long ranges(KvLayer layer) {
    Table table = tables.get(layer);
    if (table == null) {
      return 0;
    }
    int[] tokens = layer.tokens();
    CudaTensor ranges = table.ranges;
    if (ranges == null) {
      ranges = table.owner.allocateUndefined(DType.I32, Shape.of(tokens.length, RANGE_BYTES / 4));
      table.ranges = ranges;
    }
    if (!Arrays.equals(tokens, table.tokens)) {
      try (Arena arena = Arena.ofConfined()) {
        MemorySegment list = arena.allocate((long) RANGE_BYTES * tokens.length, 4);
        for (int head = 0; head < tokens.length; head++) {
          write(list.asSlice((long) RANGE_BYTES * head), layer.firstSlot(head), 0, tokens[head]);
        }
        runtime.stream().upload(ranges.address(), list);
      }
      table.tokens = tokens;
    }
    return ranges.address();
  }

  /** Hears that a launch counts so many more tokens in every head of a table. */
  synchronized void counted(KvLayer layer, int tokens) {
    int[] counts = tables.get(layer).tokens;
    for (int head = 0; head < counts.length; head++) {
      counts[head] += tokens;
    }
  }

  /** Writes a Range. */
  static void write(MemorySegment range, int firstSlot, int from, int to) {
    range.set(ValueLayout.JAVA_INT, 0, firstSlot);
    range.set(ValueLayout.JAVA_INT, 4, from);
    range.set(ValueLayout.JAVA_INT, 8, to);
  }
}
