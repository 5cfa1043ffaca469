package org.parallelcomp.engine.text;

import java.util.Arrays;

/**
 * Turns tokens that come one by one into text, whole characters only: a token may end inside a
 * character's UTF-8 bytes. For one thread.
 *
 * <p>A token's text can depend on the one before it (a leading blank is dropped at the beginning),
 * so the tokens of the last output are decoded again together with the new ones, and what is new is
 * given out.
 */
public final class TokenDecoder {
  /** UTF-8 takes at most four bytes, so longer waiting cannot complete a character. */
  private static final int MAX_WAITING = 4;

  private final TextTokenizer tokenizer;
  private int[] ids = new int[0];
  private int given;

  TokenDecoder(TextTokenizer tokenizer) {
    this.tokenizer = tokenizer;
  }

  /** Takes a token; returns the text that it completes, which may be empty. */
  public String accept(int id) {
    ids = Arrays.copyOf(ids, ids.length + 1);
    ids[ids.length - 1] = id;
    return emit(ids.length - given > MAX_WAITING);
  }

  /** Returns what is left over: an unfinished character as U+FFFD. */
  public String finish() {
    return given == ids.length ? "" : emit(true);
  }

  private String emit(boolean force) {
    String before = tokenizer.decode(Arrays.copyOf(ids, given));
    String all = tokenizer.decode(ids);
    if (!force && all.endsWith("\uFFFD")) {
      return "";
    }
    ids = Arrays.copyOfRange(ids, given, ids.length);
    given = ids.length;
    return all.substring(Math.min(before.length(), all.length()));
  }
}
