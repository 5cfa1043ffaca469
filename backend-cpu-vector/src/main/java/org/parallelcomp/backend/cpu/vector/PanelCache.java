package org.parallelcomp.backend.cpu.vector;

import java.lang.foreign.MemorySegment;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import org.parallelcomp.backend.cpu.vector.simd.StripMatmul;
import org.parallelcomp.backend.cpu.vector.simd.StripMatmul.Panels;
import org.parallelcomp.backend.cpu.vector.simd.WeightMatrix;

/**
 * Unpacked weights that are kept from call to call, up to a number of bytes. Chunks of 512 tokens
 * spend a twelfth of their time on unpacking the same weights again, so a small model is kept
 * whole; of a large one the first matrices that fit are.
 *
 * <p>A matrix is known by the scope of its memory and its address in it: an address alone may come
 * back after the scope has closed.
 */
final class PanelCache {
  private record Key(MemorySegment.Scope scope, long address) {
    static Key of(WeightMatrix matrix) {
      return new Key(matrix.segment().scope(), matrix.segment().address() + matrix.offset());
    }
  }

  private final long mostBytes;
  private final Map<Key, Panels> kept = new HashMap<>();
  private long keptBytes;

  /**
   * @param mostBytes bytes of unpacked weights that may be kept
   */
  PanelCache(long mostBytes) {
    this.mostBytes = mostBytes;
  }

  /** Returns a matrix that was kept. */
  Optional<Panels> find(WeightMatrix matrix) {
    return Optional.ofNullable(kept.get(Key.of(matrix)));
  }

  /** Returns whether there is room for a matrix, once what belongs to closed scopes is gone. */
  boolean hasRoomFor(WeightMatrix matrix) {
    if (keptBytes + bytes(matrix) > mostBytes) {
      kept.entrySet().removeIf(entry -> !entry.getKey().scope().isAlive());
      keptBytes = kept.values().stream().mapToLong(panels -> bytes(panels.matrix())).sum();
    }
    return keptBytes + bytes(matrix) <= mostBytes;
  }

  /** Keeps a matrix that has been unpacked. */
  void keep(Panels panels) {
    kept.put(Key.of(panels.matrix()), panels);
    keptBytes += bytes(panels.matrix());
  }

  private static long bytes(WeightMatrix matrix) {
    return Float.BYTES * StripMatmul.floats(matrix);
  }
}
