package org.parallelcomp.engine;

import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;

/**
 * How the next token is drawn. The steps apply in the order of the components; a step at its
 * neutral value does nothing.
 *
 * @param repetitionPenalty divides positive and multiplies negative logits of tokens that the
 *     prompt's question or the answer already holds (arXiv 1909.05858); 1 is neutral
 * @param temperature divides the logits; 0 takes the most likely token and skips the rest
 * @param topK keeps the k most likely tokens; 0 keeps all
 * @param topP keeps the fewest most likely tokens whose probabilities reach p together (arXiv
 *     1904.09751); 1 keeps all
 * @param minP keeps tokens of at least p times the greatest probability; 0 keeps all
 * @param seed of the random numbers
 */
public record Sampling(
    double repetitionPenalty, double temperature, int topK, double topP, double minP, long seed) {
  /** The most likely token each time. */
  public static final Sampling GREEDY = new Sampling(1, 0, 0, 1, 0, 0);

  public Sampling {
    check(repetitionPenalty > 0, "repetition penalty must be greater than 0", repetitionPenalty);
    check(
        temperature >= 0 && Double.isFinite(temperature),
        "temperature must be at least 0",
        temperature);
    check(topK >= 0, "top-k must be at least 0", topK);
    check(topP > 0 && topP <= 1, "top-p must be greater than 0 and at most 1", topP);
    check(minP >= 0 && minP <= 1, "min-p must be from 0 to 1", minP);
  }

  private static void check(boolean holds, String rule, Number value) {
    if (!holds) {
      throw new InferenceException(
          ErrorCode.INVALID_ARGUMENT, "The " + rule + ", not " + value + ".");
    }
  }
}
