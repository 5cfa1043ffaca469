package org.parallelcomp.api.evidence;

import java.util.List;
import java.util.Optional;

/**
 * What was observed of one chunk.
 *
 * @param chunk the chunk's index, from 0 in document order
 * @param chunks how many chunks there are
 * @param tokens how many tokens the chunk has
 * @param questionLogLikelihoods log-probability of each of the question's own tokens given the
 *     chunk; empty unless QUESTION_LIKELIHOOD was declared
 * @param priorLogLikelihoods the same given no chunk at all, only the prompt around it; empty
 *     unless QUESTION_PRIOR was declared
 * @param texts the tokens of question and chunks; absent unless TOKEN_IDS was declared
 */
public record ChunkEvidence(
    int chunk,
    int chunks,
    int tokens,
    List<Float> questionLogLikelihoods,
    List<Float> priorLogLikelihoods,
    Optional<ChunkTexts> texts) {
  public ChunkEvidence {
    questionLogLikelihoods = List.copyOf(questionLogLikelihoods);
    priorLogLikelihoods = List.copyOf(priorLogLikelihoods);
  }

  /** Creates the evidence of a chunk of which only the question's likelihood was observed. */
  public ChunkEvidence(int chunk, int chunks, int tokens, List<Float> questionLogLikelihoods) {
    this(chunk, chunks, tokens, questionLogLikelihoods, List.of(), Optional.empty());
  }
}
