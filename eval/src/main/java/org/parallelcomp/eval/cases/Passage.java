package org.parallelcomp.eval.cases;

import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.parallelcomp.engine.TokenizedText;

/**
 * A passage of a book in three parts: what stands before, a piece in the place of the question, and
 * the tokens whose likelihood is measured.
 *
 * @param context what stands before
 * @param question the last words before the measured ones
 * @param continuation tokens that are measured
 */
public record Passage(String context, String question, List<Integer> continuation) {
  public Passage {
    continuation = List.copyOf(continuation);
  }

  /**
   * Takes a passage of a book. Parts are cut before blanks, where tokens end however the text is
   * divided.
   *
   * @param filler books
   * @param tokens of the whole passage
   * @param questionTokens at most so many in the place of the question
   * @param scoredTokens at most so many are measured
   * @param index tells passages apart, and says which book
   */
  public static Passage of(
      Filler filler, int tokens, int questionTokens, int scoredTokens, int index, long seed) {
    Random random = Seeds.random("ppl", tokens, index, seed);
    String text = filler.take(random, index, tokens);
    TokenizedText encoded = filler.tokenize(text);
    int scoredFrom = blankBehind(text, encoded, encoded.tokens() - scoredTokens);
    int questionFrom = blankBehind(text, encoded, scoredFrom - questionTokens);
    return new Passage(
        text.substring(0, encoded.fromChar()[questionFrom]),
        text.substring(encoded.fromChar()[questionFrom], encoded.fromChar()[scoredFrom]),
        Arrays.stream(encoded.ids(), scoredFrom, encoded.tokens()).boxed().toList());
  }

  /** Returns the first token from one on that begins with a blank. */
  private static int blankBehind(String text, TokenizedText encoded, int token) {
    int at = Math.max(1, token);
    while (at < encoded.tokens() - 1 && text.charAt(encoded.fromChar()[at]) != ' ') {
      at++;
    }
    return at;
  }
}
