package org.parallelcomp.cli;

import java.util.Locale;
import org.parallelcomp.engine.Citation;

/**
 * A short piece of a passage.
 *
 * @param fromChar its first character in the source text
 * @param words the piece on one line, with an ellipsis where something was left out
 */
record Quotation(int fromChar, String words) {
  /** About two lines of a terminal. */
  private static final int LENGTH = 140;

  /** How much of it stands before the answer. */
  private static final int BEFORE = 60;

  /** Returns the surroundings of the answer if the passage holds it, else the beginning. */
  static Quotation of(Citation citation, String answer) {
    String text = citation.text();
    String wanted = answer.strip().replaceFirst("[.!?]+$", "").toLowerCase(Locale.ROOT);
    String lower = text.toLowerCase(Locale.ROOT);
    // A few characters change their length in lower case; then offsets would not agree.
    int found = wanted.isEmpty() || lower.length() != text.length() ? -1 : lower.indexOf(wanted);
    int from = Math.max(0, found < 0 ? 0 : found - BEFORE);
    int to = Math.min(text.length(), Math.max(from + LENGTH, found + wanted.length()));
    from = from == 0 ? 0 : wordStart(text, from, found);
    to = to == text.length() ? to : wordEnd(text, from, to, found + wanted.length());
    String words = text.substring(from, to).strip().replaceAll("\\s+", " ");
    return new Quotation(
        citation.fromChar() + from + leadingSpace(text, from, to),
        (from > 0 ? "… " : "") + words + (to < text.length() ? " …" : ""));
  }

  private static int leadingSpace(String text, int from, int to) {
    int at = from;
    while (at < to && Character.isWhitespace(text.charAt(at))) {
      at++;
    }
    return at - from;
  }

  /** Returns the first beginning of a word in {@code [from, limit]}. */
  private static int wordStart(String text, int from, int limit) {
    for (int at = from; at < limit; at++) {
      if (Character.isWhitespace(text.charAt(at - 1))) {
        return at;
      }
    }
    return limit;
  }

  /** Returns the last end of a word in {@code [limit, to]}; {@code to} if there is none. */
  private static int wordEnd(String text, int from, int to, int limit) {
    for (int at = to; at > Math.max(from, limit); at--) {
      if (Character.isWhitespace(text.charAt(at))) {
        return at;
      }
    }
    return to;
  }
}
