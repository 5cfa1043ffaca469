package org.parallelcomp.it;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.List;
import org.parallelcomp.engine.Engine;

/** The first 45 chapters of the sample book as Melville wrote them: held out from the training. */
final class MobyDick {
  private static final Path SAMPLE = Path.of("../samples/moby-dick-1-45-with-notes.txt.gz");

  /** The sentences of ours in the sample. */
  private static final List<String> NOTES =
      List.of(
          " Mira keeps the silver key in the lighthouse.",
          " The special magic number for Lisbon is: 7264918.",
          " The train to Vienna leaves at 17:42.");

  private MobyDick() {}

  static String text() {
    String text = Engine.readText(SAMPLE);
    for (String note : NOTES) {
      int at = text.indexOf(note);
      assertTrue(at >= 0 && at == text.lastIndexOf(note), "once in the sample:" + note);
      text = text.substring(0, at) + text.substring(at + note.length());
    }
    return text;
  }
}
