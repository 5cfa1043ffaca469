package org.parallelcomp.conformance;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.regex.Pattern;

/**
 * Parts of a document that tests produce, between {@code <!-- name -->} and {@code <!-- end -->}.
 * {@code -Dconformance.write=true} writes them; else they must be what stands there.
 */
final class Documentation {
  private static final Path FILE = Path.of("..", "docs", "conformance.md");

  private Documentation() {}

  static void assertPart(String name, String text) {
    String written = part(name);
    if (!Boolean.getBoolean("conformance.write")) {
      assertEquals(written, text, FILE + " is out of date; -Dconformance.write=true writes it");
      return;
    }
    String begin = "<!-- " + name + " -->\n";
    try {
      String document = Files.readString(FILE);
      Files.writeString(FILE, document.replace(begin + written, begin + text));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /**
   * Asserts that a sentence with figures stands there, none of them greater than it is by now: who
   * adds a rule need not write them anew.
   */
  static void assertAtLeast(String name, String sentence, long... figures) {
    if (Boolean.getBoolean("conformance.write")) {
      Object[] boxed = Arrays.stream(figures).boxed().toArray();
      assertPart(name, "\n" + sentence.formatted(boxed) + "\n\n");
      return;
    }
    String part = part(name).strip();
    long[] written =
        Pattern.compile("\\d+")
            .matcher(part)
            .results()
            .mapToLong(f -> Long.parseLong(f.group()))
            .toArray();
    assertEquals(sentence, part.replaceAll("\\d+", "%d"), FILE + " is out of date");
    for (int i = 0; i < figures.length; i++) {
      assertTrue(written[i] <= figures[i], part + " But there are only " + figures[i]);
    }
  }

  private static String part(String name) {
    try {
      String document = Files.readString(FILE);
      String begin = "<!-- " + name + " -->\n";
      int from = document.indexOf(begin) + begin.length();
      return document.substring(from, document.indexOf("<!-- end -->", from));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
