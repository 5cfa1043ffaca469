package org.parallelcomp.engine;

/**
 * A text as the model's tokens.
 *
 * @param ids the tokens, {@code [tokens]}
 * @param fromChar the first character (UTF-16) of each token
 * @param toChar the end (exclusive) of each token's characters
 */
public record TokenizedText(int[] ids, int[] fromChar, int[] toChar) {
  /** Returns how many tokens there are. */
  public int tokens() {
    return ids.length;
  }
}
