package org.parallelcomp.engine.generate;

import java.util.List;
import org.parallelcomp.api.cache.KvLayer;

/**
 * What the answer is decoded from.
 *
 * @param layers caches with room for query and answer
 * @param nextPosition position of the next token
 * @param pendingIds tokens that must still be run before the first answer token: the query, or the
 *     tokens of a text that has not been prefilled yet
 * @param keptBytes bytes of keys and values before the pending tokens
 * @param keptChunks the chunks that it holds, in document order
 */
record Context(
    List<KvLayer> layers,
    int nextPosition,
    int[] pendingIds,
    long keptBytes,
    List<KeptChunk> keptChunks) {

  /**
   * A chunk that stayed.
   *
   * @param chunk its index
   * @param selfInformation mean negative log-probability of the question's tokens, or NaN
   * @param keptTokensPerLayer how many tokens each layer kept, on average over its heads
   */
  record KeptChunk(int chunk, double selfInformation, List<Double> keptTokensPerLayer) {}

  static long keptBytes(List<KvLayer> layers) {
    return layers.stream().mapToLong(KvLayer::keptBytes).sum();
  }
}
