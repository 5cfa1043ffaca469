package org.parallelcomp.engine.generate;

import java.util.ArrayDeque;
import java.util.Deque;
import org.parallelcomp.api.backend.MemoryScope;
import org.parallelcomp.api.cache.KvLayer;
import org.parallelcomp.engine.model.Decoder;

/**
 * Uncut caches of single layers, used again: while chunks pass through the layers in one block,
 * each has only one in use, because each layer is cut before the next begins.
 */
final class LayerPool {
  private final Decoder decoder;
  private final MemoryScope scope;
  private final int capacity;
  private final Deque<KvLayer> free = new ArrayDeque<>();

  LayerPool(Decoder decoder, MemoryScope scope, int capacity) {
    this.decoder = decoder;
    this.scope = scope;
    this.capacity = capacity;
  }

  /** Returns an empty layer. */
  KvLayer acquire() {
    KvLayer layer = free.poll();
    return layer == null ? decoder.allocateLayer(scope, capacity) : layer;
  }

  /** Takes a layer back. */
  void release(KvLayer layer) {
    for (int head = 0; head < layer.kvHeads(); head++) {
      layer.setTokens(head, 0);
    }
    free.push(layer);
  }
}
