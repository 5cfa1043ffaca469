package org.parallelcomp.engine.text;

/**
 * A text as tokens.
 *
 * @param ids token ids, {@code [tokens]}
 * @param fromChar first character (UTF-16) of each token in the text, {@code [tokens]}
 * @param toChar end (exclusive) of each token's characters, {@code [tokens]}
 */
public record Encoded(int[] ids, int[] fromChar, int[] toChar) {
  /** Returns how many tokens there are. */
  public int tokens() {
    return ids.length;
  }
}
