package org.parallelcomp.it;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.parallelcomp.api.backend.Availability;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.policy.Plan;
import org.parallelcomp.api.policy.PolicyKind;
import org.parallelcomp.api.policy.PolicySpec;
import org.parallelcomp.engine.BackendStatus;
import org.parallelcomp.engine.Engine;
import org.parallelcomp.engine.EngineConfig;
import org.parallelcomp.engine.GenerationRequest;
import org.parallelcomp.engine.GenerationResult;
import org.parallelcomp.engine.PreparedContext;
import org.parallelcomp.engine.TokenSink;
import org.parallelcomp.models.needle6m.Needle6m;

/** One text, read once, answers several questions, on every backend that works here. */
class PreparedContextTest {
  private static final List<String> QUESTIONS =
      List.of(
          "Where does Mira keep the silver key?",
          "What is the special magic number for Lisbon?",
          "Where does Mira keep the silver key?");

  private static String text() {
    String book = MobyDick.text();
    return book.substring(60_000, 62_000)
        + " Mira keeps the silver key in the lighthouse. "
        + book.substring(62_000, 64_000)
        + " The special magic number for Lisbon is: 8412067. ";
  }

  static Stream<String> usable() {
    return Engine.backends().stream()
        .filter(status -> status.availability() instanceof Availability.Usable)
        .map(BackendStatus::id);
  }

  @ParameterizedTest
  @MethodSource("usable")
  void answersAreThoseOfEachQuestionAlone(String backend) throws IOException {
    try (Engine engine = Engine.open(EngineConfig.of(Needle6m.path()).withBackend(backend))) {
      Plan keyDiff =
          engine.plan("keydiff").with(PolicyKind.BUDGET, PolicySpec.parse("tokens(keep=400)"));
      Plan chunks =
          engine
              .plan("parallelcomp")
              .with(PolicyKind.CHUNK_SCORER, PolicySpec.parse("none"))
              .with(PolicyKind.CHUNK_EVICTION, PolicySpec.parse("all"))
              .with(PolicyKind.BUDGET, PolicySpec.parse("everything"));
      for (Plan plan : List.of(keyDiff, chunks, engine.plan("streaming-llm"))) {
        GenerationRequest reading =
            GenerationRequest.ask(text(), "").withPlan(plan).withMaxTokens(16);
        try (PreparedContext context = engine.prepare(reading)) {
          for (String question : QUESTIONS) {
            GenerationRequest request = context.request(question).withMaxTokens(16);
            assertTrue(engine.haveSameContext(List.of(request)));
            GenerationResult alone = engine.generate(request, TokenSink.NONE);
            GenerationResult held = context.generate(request, TokenSink.NONE);
            assertEquals(alone.tokenIds(), held.tokenIds(), plan.name());
            assertEquals(alone.cache(), held.cache());
          }
        }
      }
    }
  }

  /** Two contexts and other requests do not disturb one another. */
  @Test
  void contextsStandSideBySideAndEndWithTheEngine() throws IOException {
    Engine engine = Engine.open(EngineConfig.of(Needle6m.path()).withBackend("cpu-vector"));
    PreparedContext context;
    try (engine) {
      context = engine.prepare(GenerationRequest.ask(text(), QUESTIONS.getFirst()));
      GenerationResult first = context.ask(QUESTIONS.getFirst());
      assertTrue(first.answer().contains("lighthouse"), first.answer());
      try (PreparedContext other =
          engine.prepare(GenerationRequest.ask(text(), QUESTIONS.get(1)))) {
        assertTrue(other.ask(QUESTIONS.get(1)).answer().contains("8412067"));
        assertEquals(first.tokenIds(), context.ask(QUESTIONS.getFirst()).tokenIds());
        assertFalse(other.citations().isEmpty());
      }
      engine.generate(GenerationRequest.ask(text(), QUESTIONS.get(1)), TokenSink.NONE);
      assertEquals(first.tokenIds(), context.ask(QUESTIONS.getFirst()).tokenIds());
    }
    assertThrows(InferenceException.class, () -> context.ask(QUESTIONS.getFirst()));
    context.close();
  }
}
