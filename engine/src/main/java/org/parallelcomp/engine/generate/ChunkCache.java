package org.parallelcomp.engine.generate;

import java.util.List;
import org.parallelcomp.api.backend.MemoryScope;
import org.parallelcomp.engine.PassTrace.LayerTrace;

/**
 * What stays of a chunk, prefix and query left out.
 *
 * @param scope owns the layers; closing it frees them
 * @param layers one per decoder layer, each to be closed as soon as it is not needed; empty if only
 *     the score was wanted
 * @param traced what each layer showed; empty if that was not wanted
 */
record ChunkCache(MemoryScope scope, List<OwnedLayer> layers, List<LayerTrace> traced)
    implements AutoCloseable {
  /** Returns how many tokens each layer kept, on average over its heads. */
  List<Double> keptTokensPerLayer() {
    return layers.stream()
        .map(OwnedLayer::layer)
        .map(layer -> (double) layer.headTokens() / layer.kvHeads())
        .toList();
  }

  @Override
  public void close() {
    scope.close();
  }
}
