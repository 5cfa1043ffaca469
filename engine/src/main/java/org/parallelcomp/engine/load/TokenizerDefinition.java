package org.parallelcomp.engine.load;

import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * A tokenizer as data.
 *
 * @param json the tokenizers library's JSON form, without its special tokens, so that special
 *     tokens in a user's text stay text
 * @param specialTokens ids of the special tokens by their text
 * @param beginOfSequence the token that every prompt begins with, or null for none
 * @param stopTokens the tokens that end an answer
 * @param description what it is, in a few words
 * @param chatTemplate the Jinja source of the chat template, or null for none
 */
public record TokenizerDefinition(
    String json,
    Map<String, Integer> specialTokens,
    @Nullable Integer beginOfSequence,
    Set<Integer> stopTokens,
    String description,
    @Nullable String chatTemplate) {
  public TokenizerDefinition {
    specialTokens = Map.copyOf(specialTokens);
    stopTokens = Set.copyOf(stopTokens);
  }

  /**
   * Returns whether a text may be cut before a blank that follows something else, and its pieces
   * tokenised one by one with the same result.
   */
  public boolean wordsEndBeforeBlanks() {
    return TokenizerJson.isByteLevel(json);
  }
}
