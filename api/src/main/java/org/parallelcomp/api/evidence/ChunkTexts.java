package org.parallelcomp.api.evidence;

import java.util.List;

/**
 * The tokens of a request, for scorers that compare words. The arrays must not be changed.
 *
 * @param question the question's own tokens
 * @param chunks the tokens of every chunk, in document order
 */
public record ChunkTexts(int[] question, List<int[]> chunks) {
  public ChunkTexts {
    chunks = List.copyOf(chunks);
  }
}
