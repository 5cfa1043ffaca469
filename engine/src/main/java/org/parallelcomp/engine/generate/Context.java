package org.parallelcomp.engine.generate;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import org.parallelcomp.api.policy.Chunk;
import org.parallelcomp.engine.model.ContextWeighting;

/**
 * What the answer is decoded from.
 *
 * @param layers caches with room for query and answer
 * @param prefixTokens tokens before the context
 * @param contextTokens tokens of the context in each head as long as it is uncut, in the caches or
 *     still pending
 * @param nextPosition position of the next token
 * @param pendingIds tokens that must still be run before the first answer token: the query, or the
 *     tokens of a text that has not been prefilled yet
 * @param keptChunks the chunks that it holds, in document order
 * @param chunkEnds the end (exclusive) of each kept chunk in the uncut context
 * @param weightings how each layer's attention to it is weighed; empty for plain attention
 */
record Context(
    List<OwnedLayer> layers,
    int prefixTokens,
    int contextTokens,
    int nextPosition,
    int[] pendingIds,
    List<KeptChunk> keptChunks,
    List<Integer> chunkEnds,
    List<ContextWeighting> weightings) {

  /**
   * A chunk that stayed.
   *
   * @param chunk its index
   * @param selfInformation mean negative log-probability of the question's tokens, or NaN
   * @param keptTokensPerLayer how many tokens each layer kept, on average over its heads
   */
  record KeptChunk(int chunk, double selfInformation, List<Double> keptTokensPerLayer) {
    /** Returns a chunk of which every layer kept all. */
    static KeptChunk whole(Chunk chunk, double selfInformation, int layers) {
      return new KeptChunk(
          chunk.index(), selfInformation, Collections.nCopies(layers, (double) chunk.tokens()));
    }
  }

  /** Returns whether the context itself is still pending, so that its queries will pass. */
  boolean readsContextNow() {
    return layers.getFirst().layer().maxTokens() == 0;
  }

  /** Returns where each of some chunks ends when they stand one behind the other. */
  static List<Integer> ends(List<Integer> tokensPerChunk) {
    var ends = new ArrayList<Integer>();
    int end = 0;
    for (int tokens : tokensPerChunk) {
      end += tokens;
      ends.add(end);
    }
    return ends;
  }
}
