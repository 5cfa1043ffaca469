package org.parallelcomp.it;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import org.parallelcomp.engine.load.ModelFiles;
import org.parallelcomp.engine.text.TextTokenizer;

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
    try (var tokenizer = new TextTokenizer(ModelFiles.open(Path.of(args[0])).tokenizer())) {
      var cases = new RetrievalCases(tokenizer, RetrievalTable.heldoutBooks(Path.of(args[1])));
      for (int i = 3; i < args.length; i++) {
        int tokens = Integer.parseInt(args[i]);
        RetrievalCases.Case retrieval = cases.create(RetrievalCases.Task.PASSKEY, tokens, 12, 20);
        String name = String.format(Locale.ROOT, "%06d.txt", tokens);
        Files.writeString(target.resolve(name), retrieval.text());
      }
    }
  }
}
