package org.parallelcomp.it;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.parallelcomp.engine.Engine;
import org.parallelcomp.engine.EngineConfig;
import org.parallelcomp.engine.GenerationRequest;
import org.parallelcomp.engine.GenerationResult;
import org.parallelcomp.engine.TokenSink;
import org.parallelcomp.engine.load.ModelFiles;
import org.parallelcomp.engine.text.TextTokenizer;
import org.parallelcomp.models.needle6m.Needle6m;

/**
 * The main job at 32K tokens, sixteen times the bundled model's window: what stands in the text is
 * found. A few cases of the tables that {@link RetrievalTable} makes.
 */
class RetrievalTest {
  private static final int TOKENS = 32_768;
  private static final int CASES = 3;

  private static Engine engine;
  private static TextTokenizer tokenizer;
  private static RetrievalCases cases;

  @BeforeAll
  static void open() throws IOException {
    Path model = Needle6m.path();
    engine = Engine.open(EngineConfig.of(model));
    tokenizer = new TextTokenizer(ModelFiles.open(model).tokenizer());
    cases = new RetrievalCases(tokenizer, List.of(MobyDick.text()));
  }

  @AfterAll
  static void close() {
    engine.close();
    tokenizer.close();
  }

  @ParameterizedTest
  @CsvSource({
    "parallelcomp, PASSKEY, 0", "parallelcomp, PASSKEY, 1", "parallelcomp, PASSKEY, 2",
    "parallelcomp, NUMBER, 0", "parallelcomp, NUMBER, 1", "parallelcomp, NUMBER, 2",
    "parallelcomp-reread, TWO, 0", "parallelcomp-reread, TWO, 1", "parallelcomp-reread, TWO, 2",
  })
  void findsWhatStandsInTheText(String preset, RetrievalCases.Task task, int index) {
    RetrievalCases.Case retrieval = cases.create(task, TOKENS, index, CASES);
    GenerationResult result =
        engine.generate(
            GenerationRequest.ask(retrieval.text(), retrieval.question())
                .withPlan(engine.plan(preset))
                .withMaxTokens(24),
            TokenSink.NONE);
    String description =
        "%s, %s, seed %d: '%s' for '%s'"
            .formatted(preset, task, retrieval.seed(), result.answer(), retrieval.answer());
    System.out.println(description);
    assertTrue(result.figures().textTokens() >= TOKENS, description);
    assertTrue(retrieval.isAnsweredBy(result.answer()), description);
  }
}
