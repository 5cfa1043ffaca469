package org.parallelcomp.api.evidence;

import java.util.List;

/**
 * What was observed of one chunk.
 *
 * @param chunk the chunk's index, from 0 in document order
 * @param chunks how many chunks there are
 * @param tokens how many tokens the chunk has
 * @param questionLogLikelihoods log-probability of each of the question's own tokens given the
 *     chunk; empty unless QUESTION_LIKELIHOOD was declared
 */
public record ChunkEvidence(int chunk, int chunks, int tokens, List<Float> questionLogLikelihoods) {
  public ChunkEvidence {
    questionLogLikelihoods = List.copyOf(questionLogLikelihoods);
  }
}
