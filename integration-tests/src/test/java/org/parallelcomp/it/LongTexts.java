package org.parallelcomp.it;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.stream.Stream;
import org.parallelcomp.engine.Engine;
import org.parallelcomp.engine.EngineConfig;
import org.parallelcomp.eval.cases.Filler;
import org.parallelcomp.eval.cases.HiddenFacts;

/**
 * Writes texts of given lengths with a pass key at 62 % of each, for benchmarks.
 *
 * <pre>
 * LongTexts MODEL HELDOUT_FOLDER TARGET_FOLDER TOKENS...
 * </pre>
 */
final class LongTexts {
  private LongTexts() {}

  public static void main(String[] args) throws IOException {
    Path target = Files.createDirectories(Path.of(args[2]));
    try (Engine engine = Engine.open(EngineConfig.of(Path.of(args[0])))) {
      var cases = new HiddenFacts(heldoutBooks(engine, Path.of(args[1])));
      for (int i = 3; i < args.length; i++) {
        int tokens = Integer.parseInt(args[i]);
        String text = cases.create(HiddenFacts.Task.PASSKEY, tokens, 12, 20).text();
        Files.writeString(target.resolve(String.format(Locale.ROOT, "%06d.txt", tokens)), text);
      }
    }
  }

  /** Returns the held-out books that cases are hidden in. */
  static Filler heldoutBooks(Engine engine, Path folder) {
    return Filler.books(
        engine::tokenize,
        Stream.of("war-and-peace", "moby-dick", "the-brothers-karamazov", "bleak-house")
            .map(book -> Engine.readText(folder.resolve(book + ".txt.gz")))
            .toList());
  }
}
