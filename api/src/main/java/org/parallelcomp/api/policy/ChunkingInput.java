package org.parallelcomp.api.policy;

import java.util.BitSet;

/**
 * What a chunking policy may look at.
 *
 * @param tokens how many tokens the context has
 * @param maxChunkTokens the most that fit the trained window beside prefix, question and answer;
 *     the number of tokens where the plan does not bind to the window; at least 1
 * @param sentenceEnds bit t is set if token t ends a sentence
 * @param paragraphEnds bit t is set if a paragraph begins behind token t, after a blank line
 */
public record ChunkingInput(
    int tokens, int maxChunkTokens, BitSet sentenceEnds, BitSet paragraphEnds) {
  public ChunkingInput {
    if (maxChunkTokens < 1) {
      throw new IllegalArgumentException(
          "a chunk must hold at least one token, not " + maxChunkTokens);
    }
    sentenceEnds = (BitSet) sentenceEnds.clone();
    paragraphEnds = (BitSet) paragraphEnds.clone();
  }
}
