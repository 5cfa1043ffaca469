package org.parallelcomp.api.policy;

import java.util.List;

/**
 * For what chunks are evicted.
 *
 * @param chunks all chunks, in document order; they are offered in this order
 * @param maxKeptTokens the most tokens that the kept chunks may have together: what the trained
 *     window holds if they are read once more as one text, {@link Integer#MAX_VALUE} if they are
 *     merged side by side
 */
public record ChunkEvictionRequest(List<Chunk> chunks, int maxKeptTokens) {
  public ChunkEvictionRequest {
    chunks = List.copyOf(chunks);
  }
}
