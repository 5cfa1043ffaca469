package org.parallelcomp.engine.generate;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.parallelcomp.api.backend.Backend;
import org.parallelcomp.api.backend.MemoryScope;
import org.parallelcomp.api.cache.KvLayer;
import org.parallelcomp.api.cache.TokenSelection;
import org.parallelcomp.api.tensor.DType;

/**
 * A layer's cache in a scope of its own, so that it can be replaced by a smaller one and freed.
 *
 * @param scope owns the layer alone
 */
record OwnedLayer(MemoryScope scope, KvLayer layer) implements AutoCloseable {
  /** Allocates an empty layer. */
  static OwnedLayer allocate(Backend backend, MemoryScope parent, int[] capacities, int headDim) {
    MemoryScope scope = parent.child("layer");
    try {
      DType dtype = backend.traits().cacheType();
      return new OwnedLayer(scope, backend.cache().allocate(scope, dtype, capacities, headDim));
    } catch (RuntimeException | Error e) {
      scope.close();
      throw e;
    }
  }

  /** Allocates empty layers, every head with the same capacity. */
  static List<OwnedLayer> allocate(ContextRequest request, int capacity) {
    var layers = new ArrayList<OwnedLayer>();
    int[] capacities = new int[request.config().kvHeads()];
    Arrays.fill(capacities, capacity);
    for (int layer = 0; layer < request.config().layers(); layer++) {
      layers.add(
          allocate(request.backend(), request.scope(), capacities, request.config().headDim()));
    }
    return layers;
  }

  /** Returns how many more tokens the fullest head can take. */
  int room() {
    int room = Integer.MAX_VALUE;
    for (int head = 0; head < layer.kvHeads(); head++) {
      room = Math.min(room, layer.capacity(head) - layer.tokens(head));
    }
    return room;
  }

  /** Returns the layer's tokens in a layer with more room, and frees this one. */
  OwnedLayer grow(Backend backend, MemoryScope parent, int room) {
    int[] capacities = Arrays.stream(layer.tokens()).map(tokens -> tokens + room).toArray();
    OwnedLayer larger = allocate(backend, parent, capacities, layer.headDim());
    backend.cache().concatenate(larger.layer, layer);
    close();
    return larger;
  }

  /**
   * Returns what stays of the layer in one without a slot too many, and frees this one.
   *
   * @param prefixTokens tokens of each head that stay before the ones to choose from
   * @param selections per group of heads what stays of the tokens behind the prefix; what is behind
   *     these stays too. One selection for all heads, or one for each
   * @param room how many more tokens each head shall be able to take
   */
  OwnedLayer keep(
      Backend backend,
      MemoryScope parent,
      int prefixTokens,
      List<TokenSelection> selections,
      int room) {
    List<KvLayer> groups = groups(layer, selections.size());
    try (MemoryScope step = parent.child("cut")) {
      var parts = new ArrayList<List<KvLayer>>();
      int[] capacities = new int[layer.kvHeads()];
      Arrays.fill(capacities, room);
      int firstHead = 0;
      for (int g = 0; g < groups.size(); g++) {
        List<KvLayer> kept = parts(backend, step, groups.get(g), prefixTokens, selections.get(g));
        for (int head = 0; head < groups.get(g).kvHeads(); head++) {
          for (KvLayer part : kept) {
            capacities[firstHead + head] += part.tokens(head);
          }
        }
        firstHead += groups.get(g).kvHeads();
        parts.add(kept);
      }
      OwnedLayer target = allocate(backend, parent, capacities, layer.headDim());
      List<KvLayer> targets = groups(target.layer, selections.size());
      for (int g = 0; g < groups.size(); g++) {
        for (KvLayer part : parts.get(g)) {
          backend.cache().concatenate(targets.get(g), part);
        }
        if (groups.size() > 1) {
          target.layer.setTokens(g, targets.get(g).tokens(0));
        }
      }
      close();
      return target;
    }
  }

  private static List<KvLayer> parts(
      Backend backend,
      MemoryScope step,
      KvLayer group,
      int prefixTokens,
      TokenSelection selection) {
    int behind = prefixTokens + selection.tokens();
    var prefix = TokenSelection.everything(group.kvHeads(), prefixTokens);
    var rest = TokenSelection.everything(group.kvHeads(), group.tokens(0) - behind);
    return List.of(
        backend.cache().compact(step, group, 0, prefix),
        backend.cache().compact(step, group, prefixTokens, selection),
        backend.cache().compact(step, group, behind, rest));
  }

  /** Returns the layer itself for one group, or a view of each head. */
  static List<KvLayer> groups(KvLayer layer, int count) {
    if (count == 1 && layer.kvHeads() > 0) {
      return List.of(layer);
    }
    var heads = new ArrayList<KvLayer>();
    for (int head = 0; head < layer.kvHeads(); head++) {
      int from = layer.firstSlot(head);
      int to = layer.firstSlot(head + 1);
      var view =
          new KvLayer(
              layer.keys().slice(0, from, to),
              layer.values().slice(0, from, to),
              layer.positions().slice(0, from, to),
              new int[] {to - from});
      view.setTokens(0, layer.tokens(head));
      heads.add(view);
    }
    return heads;
  }

  /** Returns whether every head holds as many tokens, in as many slots. */
  boolean isUniform() {
    for (int head = 1; head < layer.kvHeads(); head++) {
      if (layer.tokens(head) != layer.tokens(0) || layer.capacity(head) != layer.capacity(0)) {
        return false;
      }
    }
    return true;
  }

  @Override
  public void close() {
    scope.close();
  }
}
