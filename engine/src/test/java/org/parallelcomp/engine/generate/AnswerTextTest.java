package org.parallelcomp.engine.generate;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.junit.jupiter.api.Test;

/** Stop strings across pieces, and what the sink hears meanwhile. */
class AnswerTextTest {
  private final StringBuilder heard = new StringBuilder();

  private AnswerText text(String... stops) {
    return new AnswerText(List.of(stops), heard::append);
  }

  @Test
  void textPassesThroughAtOnce() {
    AnswerText text = text();
    assertFalse(text.append("one "));
    assertEquals("one ", heard.toString());
    assertFalse(text.append("two"));
    assertEquals("one two", text.finish());
    assertEquals("one two", heard.toString());
  }

  @Test
  void aStopStringAcrossPiecesEndsTheText() {
    AnswerText text = text("END");
    assertFalse(text.append("abcE"));
    assertEquals("abc", heard.toString(), "E may begin END");
    assertFalse(text.append("N"));
    assertTrue(text.append("Dxyz"));
    assertEquals("abc", text.finish());
    assertEquals("abc", heard.toString());
  }

  @Test
  void whatOnlyLookedLikeAStopStringIsEmittedAfterAll() {
    AnswerText text = text("END");
    text.append("E");
    text.append("N");
    text.append("OUGH");
    assertEquals("ENOUGH", heard.toString());
    text.append(" E");
    assertEquals("ENOUGH E", text.finish());
    assertEquals("ENOUGH E", heard.toString());
  }

  @Test
  void theEarliestOfSeveralWins() {
    AnswerText text = text("\n\n", "stop");
    assertTrue(text.append("a stop b\n\n"));
    assertEquals("a ", text.finish());
  }
}
