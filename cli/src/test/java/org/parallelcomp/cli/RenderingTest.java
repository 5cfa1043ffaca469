package org.parallelcomp.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;
import org.parallelcomp.cli.Streams.Remembering;
import org.parallelcomp.engine.Citation;
import org.parallelcomp.engine.Progress;
import org.parallelcomp.engine.Progress.Phase;

class RenderingTest {
  @Test
  void quotesAroundTheAnswer() {
    String before = "a word ".repeat(100);
    String text = before + "the key is 8412067, she said. " + "more words ".repeat(100);
    Quotation quotation = Quotation.of(citation(500, text), "8412067.");

    assertTrue(quotation.words().contains("the key is 8412067, she said."), quotation::words);
    assertTrue(quotation.words().startsWith("… ") && quotation.words().endsWith(" …"));
    assertTrue(quotation.words().length() < 160, quotation::words);
    int inText = quotation.fromChar() - 500;
    assertTrue(
        text.substring(inText).startsWith(quotation.words().substring(2, 30)), "place is right");
  }

  @Test
  void quotesTheBeginningWhereTheAnswerIsNot() {
    assertEquals(
        new Quotation(12, "Call me Ishmael. Some years ago"),
        Quotation.of(citation(10, "\n\nCall me\n\nIshmael. Some years ago\n"), "Ahab"));
    assertEquals(new Quotation(10, ""), Quotation.of(citation(10, ""), ""));
    assertEquals(new Quotation(10, "x"), Quotation.of(citation(10, "x"), "x"));
  }

  @Test
  void quotesWordsWithoutSpaces() {
    String text = "字".repeat(1000);
    Quotation quotation = Quotation.of(citation(0, text), "");

    assertEquals("字".repeat(140) + " …", quotation.words());
  }

  @Test
  void progressIsThrottledButShowsItsEnd() {
    var bytes = new ByteArrayOutputStream();
    var clock = new AtomicLong();
    var line = new ProgressLine(new PrintStream(bytes), true, clock::get);
    for (int done = 1; done <= 3; done++) {
      line.show(new Progress(Phase.PREFILL, done, 3, 100L * done, 1_000_000_000L * done));
    }
    line.clear();

    String written = bytes.toString(StandardCharsets.UTF_8);
    assertTrue(written.contains("1/3 chunks  100 tokens/s  0:02 left"), written);
    assertTrue(!written.contains("2/3"), written);
    assertTrue(written.endsWith("3/3 chunks  100 tokens/s  0:00 left\r\u001b[K"), written);
  }

  @Test
  void linesFitATerminal() {
    var widest = new Progress(Phase.PREFILL, 99_999, 100_000, 999_999_999L, 1_000_000_000_000L);
    assertTrue(ProgressLine.line(widest).length() < 80, ProgressLine.line(widest));
    assertEquals("read", ProgressLine.line(new Progress(Phase.READ, 0, 1, 0, 0)));
  }

  @Test
  void unitsAreReadable() {
    assertEquals("999 B", Units.bytes(999));
    assertEquals("0.98 KiB", Units.bytes(1000));
    assertEquals("1.47 GiB", Units.bytes(1_578_000_000L));
    assertEquals("600 MiB", Units.bytes(600L << 20));
    assertEquals("0:05", Units.clock(4.6));
    assertEquals("1:00:01", Units.clock(3601));
  }

  @Test
  void brokenPipeIsQuietAndAFullDiskIsNot() {
    assertEquals("141 ", statusAfter("Broken pipe"));
    assertEquals(
        "4 parallelcomp: Cannot write to standard output: No space left on device.\n",
        statusAfter("No space left on device"));
  }

  private static String statusAfter(String failure) {
    var remembering =
        new Remembering(
            new OutputStream() {
              @Override
              public void write(int b) throws IOException {
                throw new IOException(failure);
              }
            });
    var out = new PrintStream(remembering);
    out.print("x");
    assertTrue(out.checkError());
    var err = new ByteArrayOutputStream();
    int status = remembering.status(0, new PrintStream(err, true));
    return status + " " + err.toString(StandardCharsets.UTF_8);
  }

  private static Citation citation(int fromChar, String text) {
    return new Citation(0, fromChar, fromChar + text.length(), 1, 0, List.of(), text);
  }
}
