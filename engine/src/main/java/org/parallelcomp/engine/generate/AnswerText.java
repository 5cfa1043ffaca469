package org.parallelcomp.engine.generate;

import java.util.List;
import org.parallelcomp.engine.TokenSink;

/**
 * The answer's text on its way to the sink. Text that may turn out to begin a stop string is held
 * back until it is known that it does not.
 */
final class AnswerText {
  private final List<String> stopStrings;
  private final TokenSink sink;
  private final StringBuilder text = new StringBuilder();
  private int emitted;

  AnswerText(List<String> stopStrings, TokenSink sink) {
    this.stopStrings = stopStrings.stream().filter(stop -> !stop.isEmpty()).toList();
    this.sink = sink;
  }

  /**
   * Takes the next piece.
   *
   * @return whether a stop string has come up; the text then ends before it
   */
  boolean append(String piece) {
    int searchFrom = Math.max(0, text.length() - longestStop() + 1);
    text.append(piece);
    int stopAt = -1;
    for (String stop : stopStrings) {
      int at = text.indexOf(stop, searchFrom);
      if (at >= 0 && (stopAt < 0 || at < stopAt)) {
        stopAt = at;
      }
    }
    if (stopAt >= 0) {
      text.setLength(stopAt);
      emitUpTo(stopAt);
      return true;
    }
    emitUpTo(text.length() - heldBack());
    return false;
  }

  /** Emits what is still held back and returns the whole text. */
  String finish() {
    emitUpTo(text.length());
    return text.toString();
  }

  private int longestStop() {
    return stopStrings.stream().mapToInt(String::length).max().orElse(0);
  }

  /** The length of the longest end of the text that a stop string begins with. */
  private int heldBack() {
    for (int length = Math.min(text.length(), longestStop() - 1); length > 0; length--) {
      String end = text.substring(text.length() - length);
      if (stopStrings.stream().anyMatch(stop -> stop.startsWith(end))) {
        return length;
      }
    }
    return 0;
  }

  private void emitUpTo(int end) {
    if (end > emitted) {
      sink.onText(text.substring(emitted, end));
      emitted = end;
    }
  }
}
