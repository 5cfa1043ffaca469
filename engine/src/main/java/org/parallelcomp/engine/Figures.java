package org.parallelcomp.engine;

/**
 * What a request cost.
 *
 * @param textTokens tokens of the text
 * @param promptTokens tokens of everything around it: prefix and query
 * @param prefilledTokens tokens run through the model before the first answer token, repetitions
 *     counted
 * @param answerTokens tokens of the answer
 * @param chunks chunks that the text was cut into
 * @param keptChunks chunks that the answer was decoded from
 * @param fullCacheBytes keys and values that text and prompt would take without eviction
 * @param keptCacheBytes keys and values that the answer was decoded from
 * @param readNanos time for text to tokens
 * @param prefillNanos time for all chunks
 * @param mergeNanos time to bring the kept chunks together, prefill the question and find the first
 *     answer token
 * @param decodeNanos time from the first answer token on
 * @param firstTokenNanos time from the call to the first answer token
 */
public record Figures(
    int textTokens,
    int promptTokens,
    long prefilledTokens,
    int answerTokens,
    int chunks,
    int keptChunks,
    long fullCacheBytes,
    long keptCacheBytes,
    long readNanos,
    long prefillNanos,
    long mergeNanos,
    long decodeNanos,
    long firstTokenNanos) {

  /** Returns prefilled tokens per second of prefill and merge; 0 if nothing was prefilled. */
  public double prefillTokensPerSecond() {
    return perSecond(prefilledTokens, prefillNanos + mergeNanos);
  }

  /** Returns answer tokens per second behind the first; 0 if there was none. */
  public double decodeTokensPerSecond() {
    return perSecond(Math.max(0, answerTokens - 1), decodeNanos);
  }

  private static double perSecond(long count, long nanos) {
    return nanos <= 0 ? 0 : count * 1e9 / nanos;
  }
}
