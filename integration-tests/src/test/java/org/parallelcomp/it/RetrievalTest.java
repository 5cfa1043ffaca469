package org.parallelcomp.it;

import static org.junit.jupiter.api.Assertions.assertEquals;
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
import org.parallelcomp.eval.cases.EvalCase;
import org.parallelcomp.eval.cases.Filler;
import org.parallelcomp.eval.cases.HiddenFacts;
import org.parallelcomp.models.needle6m.Needle6m;

/**
 * The main job at 32K tokens, sixteen times the bundled model's window: what stands in the text is
 * found. A few cases of the tables that {@code scripts/retrieval.sh} makes.
 */
class RetrievalTest {
  private static final int TOKENS = 32_768;
  private static final int CASES = 3;

  private static Engine engine;
  private static HiddenFacts cases;

  @BeforeAll
  static void open() throws IOException {
    Path model = Needle6m.path();
    engine = Engine.open(EngineConfig.of(model));
    cases = new HiddenFacts(Filler.books(engine::tokenize, List.of(MobyDick.text())));
  }

  @AfterAll
  static void close() {
    engine.close();
  }

  @ParameterizedTest
  @CsvSource({
    "parallelcomp, PASSKEY, 0", "parallelcomp, PASSKEY, 1", "parallelcomp, PASSKEY, 2",
    "parallelcomp, NUMBER, 0", "parallelcomp, NUMBER, 1", "parallelcomp, NUMBER, 2",
    "parallelcomp-reread, TWO, 0", "parallelcomp-reread, TWO, 1", "parallelcomp-reread, TWO, 2",
  })
  void findsWhatStandsInTheText(String preset, HiddenFacts.Task task, int index) {
    EvalCase retrieval = cases.create(task, TOKENS, index, CASES);
    GenerationResult result =
        engine.generate(
            GenerationRequest.ask(retrieval.text(), retrieval.question())
                .withPlan(engine.plan(preset))
                .withMaxTokens(24),
            TokenSink.NONE);
    String description =
        "%s, %s, case %d: '%s' for %s"
            .formatted(preset, task, index, result.answer(), retrieval.answers());
    System.out.println(description);
    assertTrue(result.figures().textTokens() >= TOKENS, description);
    assertEquals(1, retrieval.score(result.answer()), description);
  }
}
