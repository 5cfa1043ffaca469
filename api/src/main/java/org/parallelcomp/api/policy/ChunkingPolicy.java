package org.parallelcomp.api.policy;

import java.util.List;

/** Cuts a context into chunks that are prefilled independently. */
@FunctionalInterface
public interface ChunkingPolicy {
  /**
   * Returns the chunks in document order. Together they must cover every token; none may exceed
   * {@link ChunkingInput#maxChunkTokens()}.
   */
  List<Chunk> split(ChunkingInput input);
}
