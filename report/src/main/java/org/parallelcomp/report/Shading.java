package org.parallelcomp.report;

import java.util.ArrayList;
import java.util.List;

/**
 * A passage in runs of characters that were kept alike.
 *
 * @param fromChar first character of the passage in the source text
 * @param runs one behind the other
 */
record Shading(int fromChar, List<Run> runs) {
  /** Strengths of shading; 0 is not kept at all. */
  static final int LEVELS = 4;

  /** A run that says nothing new is folded if it is longer. */
  private static final int LONGEST_RUN = 600;

  /** How much is shown at either end of what is folded. */
  private static final int ENDS = 160;

  /**
   * Characters that the same number of layer and head pairs kept.
   *
   * @param text the characters, or an empty string if they are folded
   * @param keptBy by how many pairs they were kept
   * @param level the strength, from 0 to {@link #LEVELS}
   * @param folded how many characters are left out
   */
  record Run(String text, int keptBy, int level, int folded) {
    boolean shaded() {
      return level > 0;
    }
  }

  /**
   * Shades a passage.
   *
   * @param text the source text
   * @param fromToken first token of the passage
   * @param toToken the end (exclusive) of its tokens
   * @param fromChar first character of each token of the text
   * @param toChar the end (exclusive) of each token's characters
   * @param keptBy by how many pairs of layer and head each token was kept
   * @param pairs how many pairs there are
   */
  static Shading of(
      String text,
      int fromToken,
      int toToken,
      int[] fromChar,
      int[] toChar,
      int[] keptBy,
      int pairs) {
    int from = fromChar[fromToken];
    int[] byChar = new int[toChar[toToken - 1] - from];
    for (int token = fromToken; token < toToken; token++) {
      for (int at = Math.max(from, fromChar[token]); at < toChar[token]; at++) {
        // Several tokens may spell one character.
        byChar[at - from] = Math.max(byChar[at - from], keptBy[token]);
      }
    }
    var runs = new ArrayList<Run>();
    int begin = 0;
    for (int at = 1; at <= byChar.length; at++) {
      boolean ends =
          at == byChar.length
              || byChar[at] != byChar[begin] && !Character.isLowSurrogate(text.charAt(from + at));
      if (ends) {
        add(runs, text.substring(from + begin, from + at), byChar[begin], pairs);
        begin = at;
      }
    }
    return new Shading(from, List.copyOf(runs));
  }

  private static void add(List<Run> runs, String text, int keptBy, int pairs) {
    int level = keptBy == 0 ? 0 : (int) Math.ceil((double) LEVELS * keptBy / pairs);
    if (text.length() <= LONGEST_RUN) {
      runs.add(new Run(text, keptBy, level, 0));
      return;
    }
    int headEnd = whole(text, ENDS);
    int tailStart = whole(text, text.length() - ENDS);
    runs.add(new Run(text.substring(0, headEnd), keptBy, level, 0));
    runs.add(new Run("", keptBy, level, tailStart - headEnd));
    runs.add(new Run(text.substring(tailStart), keptBy, level, 0));
  }

  /** Returns a place that does not cut through a character of two. */
  private static int whole(String text, int at) {
    return Character.isLowSurrogate(text.charAt(at)) ? at + 1 : at;
  }

  /** Returns how many characters are shown. */
  int shown() {
    return runs.stream().mapToInt(run -> run.text.length()).sum();
  }
}
