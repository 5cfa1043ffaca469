package org.parallelcomp.engine.generate;

import java.util.Arrays;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.parallelcomp.api.backend.Backend;
import org.parallelcomp.api.backend.MemoryScope;
import org.parallelcomp.api.backend.TensorOps;
import org.parallelcomp.api.cache.KvLayer;
import org.parallelcomp.api.cache.TokenSelection;
import org.parallelcomp.api.evidence.Evidence;
import org.parallelcomp.engine.PassTrace.LayerTrace;
import org.parallelcomp.engine.model.Decoder;
import org.parallelcomp.engine.model.LayerCaches;

/**
 * The caches of a chunk on its way through the layers: each starts with the shared prefix, grows by
 * the chunk and the query, and is cut to what shall stay as soon as its layer has been attended to.
 */
final class ChunkLayers implements LayerCaches {
  private final Backend backend;
  private final Decoder decoder;
  private final LayerPool pool;
  private final List<KvLayer> prefix;
  private final TokenEviction eviction;
  private final @Nullable MemoryScope keptScope;
  private final boolean rerotate;
  private final int contextTokens;
  private final int queryTokens;
  private final int windowTokens;
  private final @Nullable KvLayer[] uncut;
  private final OwnedLayer[] kept;
  private final boolean trace;
  private final @Nullable LayerTrace[] traced;
  private boolean lastBlock;

  /**
   * @param keptScope owner of what stays, or null if nothing shall stay
   * @param rerotate whether what stays is rotated to the places directly behind the prefix
   * @param trace whether {@link #traced} is wanted
   */
  ChunkLayers(
      Backend backend,
      Decoder decoder,
      LayerPool pool,
      List<KvLayer> prefix,
      TokenEviction eviction,
      @Nullable MemoryScope keptScope,
      boolean rerotate,
      int contextTokens,
      int queryTokens,
      boolean trace) {
    this.backend = backend;
    this.decoder = decoder;
    this.pool = pool;
    this.prefix = prefix;
    this.eviction = eviction;
    this.keptScope = keptScope;
    this.rerotate = rerotate;
    this.contextTokens = contextTokens;
    this.queryTokens = queryTokens;
    // Asked once, since it asks the budget for every layer.
    this.windowTokens = eviction.windowTokens(queryTokens, contextTokens);
    this.uncut = new KvLayer[decoder.config().layers()];
    this.kept = new OwnedLayer[decoder.config().layers()];
    this.trace = trace && keptScope != null;
    this.traced = new LayerTrace[decoder.config().layers()];
  }

  /** Says that the next pass is the chunk's last, behind which its layers can be cut. */
  void beginLastBlock() {
    lastBlock = true;
  }

  /** Returns what stayed, layer by layer. */
  List<OwnedLayer> kept() {
    return keptScope == null ? List.of() : List.of(kept);
  }

  /** Returns what each layer showed; empty if that was not wanted. */
  List<LayerTrace> traced() {
    return trace ? List.of(traced) : List.of();
  }

  @Override
  public KvLayer open(int layer) {
    KvLayer open = uncut[layer];
    if (open == null) {
      open = pool.acquire();
      backend.cache().concatenate(open, prefix.get(layer));
      uncut[layer] = open;
    }
    return open;
  }

  @Override
  public int logSumExpRows(int layer) {
    if (!lastBlock || keptScope == null) {
      return 0;
    }
    if (trace) {
      return ALL_ROWS;
    }
    boolean looksAtIt = eviction.requires(layer, contextTokens).contains(Evidence.ATTENTION_MASS);
    return looksAtIt ? windowTokens : 0;
  }

  @Override
  public void close(int layer, Attended attended) {
    if (!lastBlock) {
      return;
    }
    KvLayer layerCache = attended.sequence().layer();
    if (keptScope != null) {
      kept[layer] = cut(layer, layerCache, attended, keptScope);
    }
    uncut[layer] = null;
    pool.release(layerCache);
  }

  private OwnedLayer cut(int layer, KvLayer layerCache, Attended attended, MemoryScope target) {
    int prefixTokens = prefix.get(layer).maxTokens();
    int positionBehind = prefixTokens + contextTokens;
    Set<Evidence> declared = eviction.requires(layer, contextTokens);
    try (MemoryScope policyScope = target.child("policy")) {
      var evidence =
          new ObservedLayer(
              backend,
              policyScope,
              decoder,
              layer,
              0,
              attended,
              prefixTokens,
              contextTokens,
              eviction.keptTokens(layer, contextTokens),
              queryTokens,
              positionBehind,
              declared);
      TensorOps ops = backend.tensorOps(policyScope);
      TokenSelection keptByBudget = eviction.withinBudget(evidence, ops);
      TokenSelection selection = eviction.calibrate(evidence, keptByBudget, ops);
      if (trace) {
        traced[layer] =
            Tracer.cutLayer(
                backend,
                policyScope,
                attended,
                Tracer.window(eviction, queryTokens),
                prefixTokens,
                keptByBudget,
                selection);
      }
      MemoryScope own = target.child("layer");
      KvLayer cut = backend.cache().compact(own, layerCache, prefixTokens, selection);
      if (rerotate) {
        backend.cache().rerotate(cut, prefixTokens, decoder.rope());
      }
      return new OwnedLayer(own, cut);
    }
  }

  /** Gives back what a pass that did not reach its end still holds. */
  void abandon() {
    Arrays.stream(uncut).filter(layer -> layer != null).forEach(pool::release);
    Arrays.fill(uncut, null);
  }
}
