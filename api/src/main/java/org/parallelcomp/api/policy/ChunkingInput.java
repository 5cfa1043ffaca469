package org.parallelcomp.api.policy;

import java.util.BitSet;

/**
 * What a chunking policy may look at.
 *
 * @param tokens how many tokens the context has
 * @param maxChunkTokens the most that fit the trained window beside prefix, question and answer;
 *     the number of tokens where the plan does not bind to the window
 * @param sentenceEnds bit t is set if token t ends a sentence
 * @param paragraphEnds bit t is set if a paragraph begins behind token t, after a blank line
 */
public record ChunkingInput(
    int tokens, int maxChunkTokens, BitSet sentenceEnds, BitSet paragraphEnds) {
  public ChunkingInput {
    sentenceEnds = (BitSet) sentenceEnds.clone();
    paragraphEnds = (BitSet) paragraphEnds.clone();
  }
}
