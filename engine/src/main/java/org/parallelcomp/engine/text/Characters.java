package org.parallelcomp.engine.text;

import java.util.stream.IntStream;

/** What there is to know about characters beyond {@link String}. */
final class Characters {
  private Characters() {}

  /** Replaces halves of surrogate pairs, which no UTF-8 text has, by U+FFFD; lengths stay. */
  static String withoutLoneSurrogates(String text) {
    StringBuilder mended = null;
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      if (!Character.isSurrogate(c)) {
        continue;
      }
      if (Character.isHighSurrogate(c)
          && i + 1 < text.length()
          && Character.isLowSurrogate(text.charAt(i + 1))) {
        i++;
      } else {
        mended = mended == null ? new StringBuilder(text) : mended;
        mended.setCharAt(i, '\uFFFD');
      }
    }
    return mended == null ? text : mended.toString();
  }

  /** Returns where to cut a text into pieces of about a length: before a blank behind a word. */
  static int[] cutsBeforeBlanks(String text, int pieceChars) {
    IntStream.Builder cuts = IntStream.builder();
    for (int at = pieceChars; at < text.length(); at++) {
      if (text.charAt(at) == ' ' && !isBlank(text.charAt(at - 1))) {
        cuts.add(at);
        at += pieceChars;
      }
    }
    return cuts.build().toArray();
  }

  private static boolean isBlank(char c) {
    return Character.isWhitespace(c) || Character.isSpaceChar(c) || c == '\u0085';
  }

  /**
   * Turns offsets in code points of a piece into offsets in UTF-16 units of the text that it begins
   * at an offset of; they mostly ascend.
   */
  static void codePointsToUnits(String text, int[] offsets, int pieceOffset) {
    int points = 0;
    int units = 0;
    for (int t = 0; t < offsets.length; t++) {
      while (points > offsets[t]) {
        units -= Character.charCount(text.codePointBefore(units));
        points--;
      }
      while (points < offsets[t]) {
        units += Character.charCount(text.codePointAt(units));
        points++;
      }
      offsets[t] = pieceOffset + units;
    }
  }

  /** Returns whether a text ends with a full stop, less quotes, blanks and line ends behind it. */
  static boolean endsSentence(String text) {
    int end = text.length();
    while (end > 0 && "\n\"' ".indexOf(text.charAt(end - 1)) >= 0) {
      end--;
    }
    return end > 0 && ".!?".indexOf(text.charAt(end - 1)) >= 0;
  }
}
