package org.parallelcomp.eval;

import com.fasterxml.jackson.annotation.JsonInclude;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What came of one method on one case.
 *
 * @param key the unit's key, unlike all others of the evaluation
 * @param method as the specification names it
 * @param task kind of question
 * @param tokens length that was asked for; 0 for a data file
 * @param depth where the needle stands, or null where that is no part of the grid
 * @param score of the answer from 0 to 1, or null if none was scored
 * @param nats mean negative log-likelihood of the scored tokens, or null
 * @param scoredTokens how many there were
 * @param divergence mean Kullback-Leibler divergence from full attention's distributions of the
 *     answer's tokens, in nats, or null
 * @param answer the answer
 * @param expected what must be answered
 * @param error why there is no score, or null
 * @param finish why the answer ended
 * @param textTokens tokens of the text
 * @param chunks chunks that it was cut into
 * @param keptChunks chunks that the answer was decoded from
 * @param keptBytes keys and values that the answer was decoded from
 * @param fullBytes keys and values of the text without eviction
 * @param prefillSeconds time until the question had been read, or null if it was left out
 * @param decodeSeconds time from the first answer token on, or null likewise
 * @param answerTokens tokens of the answer
 * @param context of a data file: "anew" if it was read for this question alone, "shared" if it was
 *     read once for all of its questions, which changes no answer, "joint" if it was read once by
 *     all of them together, "unseen" if before any; else null. The time of a reading for several
 *     questions counts in the first of them
 * @param attention where the question's attention went, layer by layer, or null if nobody looked
 */
public record CaseResult(
    String key,
    String method,
    String task,
    int tokens,
    @Nullable Double depth,
    @Nullable Double score,
    @Nullable Double nats,
    int scoredTokens,
    @Nullable Double divergence,
    String answer,
    List<String> expected,
    @Nullable String error,
    String finish,
    int textTokens,
    int chunks,
    int keptChunks,
    long keptBytes,
    long fullBytes,
    @Nullable Double prefillSeconds,
    @Nullable Double decodeSeconds,
    int answerTokens,
    @JsonInclude(JsonInclude.Include.NON_NULL) @Nullable String context,
    @JsonInclude(JsonInclude.Include.NON_NULL) @Nullable List<LayerAttention> attention) {
  public CaseResult {
    expected = List.copyOf(expected);
    attention = attention == null ? null : List.copyOf(attention);
  }

  CaseResult withoutTimes() {
    return new CaseResult(
        key,
        method,
        task,
        tokens,
        depth,
        score,
        nats,
        scoredTokens,
        divergence,
        answer,
        expected,
        error,
        finish,
        textTokens,
        chunks,
        keptChunks,
        keptBytes,
        fullBytes,
        null,
        null,
        answerTokens,
        context,
        attention);
  }
}
