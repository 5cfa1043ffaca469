package org.parallelcomp.engine.text;

import java.util.BitSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A text as tokens.
 *
 * @param ids token ids, {@code [tokens]}
 * @param fromChar first character (UTF-16) of each token in the text, {@code [tokens]}
 * @param toChar end (exclusive) of each token's characters, {@code [tokens]}
 */
public record Encoded(int[] ids, int[] fromChar, int[] toChar) {
  /** A line end, a line that is blank, and whatever blanks follow. */
  private static final Pattern BLANK_LINE = Pattern.compile("\\R[\\h]*+\\R\\s*+");

  /** Returns how many tokens there are. */
  public int tokens() {
    return ids.length;
  }

  /**
   * Returns the tokens behind which a paragraph begins: bit t is set if the first character after a
   * blank line lies behind token t and not behind token t + 1.
   *
   * @param text the text that was encoded
   */
  public BitSet paragraphEnds(String text) {
    var ends = new BitSet(tokens());
    Matcher blankLine = BLANK_LINE.matcher(text);
    int token = 0;
    while (blankLine.find() && blankLine.end() < text.length()) {
      while (token + 1 < tokens() && toChar[token + 1] <= blankLine.end()) {
        token++;
      }
      if (token < tokens() && toChar[token] <= blankLine.end()) {
        ends.set(token);
      }
    }
    return ends;
  }
}
