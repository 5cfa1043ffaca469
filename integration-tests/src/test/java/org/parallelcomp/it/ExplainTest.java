package org.parallelcomp.it;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.parallelcomp.api.policy.Plan;
import org.parallelcomp.api.policy.PolicyKind;
import org.parallelcomp.api.policy.PolicySpec;
import org.parallelcomp.api.policy.Preset;
import org.parallelcomp.engine.Engine;
import org.parallelcomp.engine.EngineConfig;
import org.parallelcomp.engine.FinishReason;
import org.parallelcomp.engine.GenerationRequest;
import org.parallelcomp.engine.GenerationResult;
import org.parallelcomp.engine.TokenSink;
import org.parallelcomp.engine.Trace;
import org.parallelcomp.models.needle6m.Needle6m;
import org.parallelcomp.report.AttentionProfile;
import org.parallelcomp.report.AttentionProfile.Stage;
import org.parallelcomp.report.Explanation;
import org.parallelcomp.report.Report;

/** The page of a real answer, by every preset, says what the result says. */
class ExplainTest {
  private static final String NEEDLE = "Mira keeps the silver key in the lighthouse.";
  private static final String QUESTION = "Where does Mira keep the silver key?";

  private static Engine engine;
  private static String text;

  @BeforeAll
  static void open() throws IOException {
    engine = Engine.open(EngineConfig.of(Needle6m.path()));
    var book = new StringBuilder(MobyDick.text().substring(60_000, 66_000));
    text = book.insert(book.indexOf(". ", 3_000) + 2, NEEDLE + " ").toString();
  }

  @AfterAll
  static void close() {
    engine.close();
  }

  private static GenerationResult ask(Plan plan) {
    return engine.generate(
        GenerationRequest.ask(text, QUESTION).withPlan(plan).withMaxTokens(12).withTraced(true),
        TokenSink.NONE);
  }

  private static String page(GenerationResult result) {
    return new Report(text, QUESTION, result, engine.model(), engine.backend(), Map.of()).html();
  }

  static Stream<String> presets() {
    return Engine.policies().presets().stream().map(Preset::name);
  }

  @ParameterizedTest
  @MethodSource("presets")
  void everyPresetHasItsPage(String preset) {
    GenerationResult result = ask(engine.plan(preset));
    Trace trace = result.trace();
    Explanation explanation = Explanation.of(trace);

    boolean rolled = result.citations().isEmpty();
    for (int layer = 0; layer < explanation.layers().size(); layer++) {
      Explanation.Layer explained = explanation.layers().get(layer);
      List<Integer> held = result.cache().layers().get(layer).keptTokens();
      for (int head = 0; head < held.size() && !rolled; head++) {
        assertEquals(
            held.get(head) - trace.answerPass().prefixTokens(), explained.keptTokens().get(head));
      }
      assertTrue(!explained.attention().isEmpty());
      for (AttentionProfile profile : explained.attention()) {
        double whole =
            profile.prefix()
                + profile.sink()
                + profile.middle()
                + profile.recent()
                + profile.query();
        assertEquals(1, whole, 1e-3, profile::toString);
      }
    }
    String page = page(result);
    assertTrue(page.contains("<h1>" + QUESTION + "</h1>"));
    assertTrue(page.contains("<dd>" + preset + "</dd>"));
  }

  /** The default keeps the chunk of the answer, and of it the tokens of the answer. */
  @Test
  void theKeptTokensAreThoseOfTheAnswer() {
    Plan plan = engine.plan("parallelcomp").with(PolicyKind.CHUNKING, "tokens", 300);
    GenerationResult result = ask(plan);
    Trace trace = result.trace();
    Explanation explanation = Explanation.of(trace);
    int key = text.indexOf("the lighthouse");

    assertEquals("in the lighthouse", result.answer());
    long keptOfAnswer = 0;
    for (int token = 0; token < trace.fromChar().length; token++) {
      if (trace.fromChar()[token] >= key && trace.toChar()[token] <= key + 14) {
        keptOfAnswer += explanation.keptBy()[token];
      }
    }
    assertTrue(keptOfAnswer > 0);
    for (Explanation.Layer layer : explanation.layers()) {
      assertTrue(layer.keptTokens().stream().allMatch(kept -> kept == 256), layer::toString);
      assertEquals(
          List.of(Stage.READ, Stage.BUDGET, Stage.ANSWER),
          layer.attention().stream().map(AttentionProfile::stage).toList());
    }
    assertTrue(page(result).contains("This plan has no calibration"));
  }

  @Test
  void weighedAttentionIsSaidToBeUnobserved() {
    GenerationResult result =
        ask(
            engine
                .plan("parallelcomp")
                .with(
                    PolicyKind.CALIBRATION, PolicySpec.parse("attention-reweight(from=2, to=3)")));
    List<Explanation.Layer> layers = Explanation.of(result.trace()).layers();

    assertEquals(Stage.ANSWER, layers.getFirst().attention().getLast().stage());
    assertEquals(Stage.BUDGET, layers.get(1).attention().getLast().stage());
    assertTrue(page(result).contains("not observed in layers 2, 3:"), page(result));
  }

  /** The question's pass is the one that is cut, and it is plain. */
  @Test
  void aMergedContextIsObservedInTheAnswersPass() {
    GenerationResult result =
        ask(
            engine
                .plan("parallelcomp")
                .with(PolicyKind.CHUNKING, "tokens", 300)
                .with(PolicyKind.CHUNK_EVICTION, "chunks", 2)
                .with(PolicyKind.SCHEDULE, PolicySpec.parse("merged")));

    Explanation.of(result.trace())
        .layers()
        .forEach(
            layer ->
                assertEquals(
                    List.of(Stage.READ, Stage.BUDGET),
                    layer.attention().stream().map(AttentionProfile::stage).toList()));
    String page = page(result);
    assertTrue(!page.contains("not observed") && !page.contains("means over"), page);
  }

  @Test
  void whereNoChunkIsKeptThePageSaysSo() {
    GenerationResult result =
        ask(
            engine
                .plan("parallelcomp")
                .with(PolicyKind.CHUNKING, "tokens", 300)
                .with(PolicyKind.CHUNK_EVICTION, PolicySpec.parse("threshold(least=-0.001)")));

    assertEquals(FinishReason.NO_CHUNK_KEPT, result.finishReason());
    assertTrue(page(result).contains("No chunk was kept, so nothing was answered."));
    assertTrue(result.trace().chunks().stream().allMatch(c -> c.selfInformation() > 0));
  }
}
