package org.parallelcomp.it;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.engine.Engine;
import org.parallelcomp.engine.EngineConfig;
import org.parallelcomp.engine.GenerationRequest;
import org.parallelcomp.engine.GenerationResult;
import org.parallelcomp.engine.PromptForm;
import org.parallelcomp.engine.RopeScaling;
import org.parallelcomp.engine.TokenSink;
import org.parallelcomp.engine.TokenizedText;
import org.parallelcomp.models.needle6m.Needle6m;

/** A given answer is decoded as a drawn one, and its logits are told. */
class ScoreTest {
  private static Engine engine;

  @BeforeAll
  static void open() throws IOException {
    engine = Engine.open(EngineConfig.of(Needle6m.path()));
  }

  @AfterAll
  static void close() {
    engine.close();
  }

  private static GenerationRequest request() {
    return GenerationRequest.ask(
        MobyDick.text().substring(0, 12_000)
            + " Mira keeps the silver key in the lighthouse. "
            + MobyDick.text().substring(12_000, 30_000),
        "Where does Mira keep the silver key?");
  }

  @ParameterizedTest
  @ValueSource(strings = {"parallelcomp", "parallelcomp-reread", "streaming-llm"})
  void theAnswerThatIsDrawnGreedilyIsTheLikeliestOfItsOwnLogits(String preset) {
    GenerationRequest request = request().withPlan(engine.plan(preset));
    GenerationResult drawn = engine.generate(request, TokenSink.NONE);
    assertTrue(drawn.tokenIds().size() > 1, drawn.answer());
    var likeliest = new ArrayList<Integer>();
    GenerationResult scored =
        engine.score(
            request,
            drawn.tokenIds(),
            (index, token, logits) -> {
              assertEquals(likeliest.size(), index);
              assertEquals(drawn.tokenIds().get(index), token);
              int best = 0;
              for (int id = 1; id < logits.length; id++) {
                best = logits[id] > logits[best] ? id : best;
              }
              likeliest.add(best);
            });
    assertEquals(drawn.tokenIds(), likeliest);
    assertEquals(drawn.tokenIds(), scored.tokenIds());
    assertEquals(drawn.answer(), scored.answer());
    assertEquals(drawn.cache().layers(), scored.cache().layers());
  }

  /** Plain attention over a text within the window, however it is divided, is one formula. */
  @Test
  void withoutATemplateTheWholeTextIsOneSequence() {
    String text = MobyDick.text().substring(0, 4_000);
    TokenizedText tokens = engine.tokenize(text);
    int cut = 400;
    while (text.charAt(tokens.fromChar()[cut]) != ' ') {
      cut++;
    }
    int from = cut + 40;
    while (text.charAt(tokens.fromChar()[from]) != ' ') {
      from++;
    }
    List<Integer> continuation =
        java.util.Arrays.stream(tokens.ids(), from, from + 20).boxed().toList();
    String context = text.substring(0, tokens.fromChar()[cut]);
    String rest = text.substring(tokens.fromChar()[cut], tokens.fromChar()[from]);
    var form = new PromptForm("", PromptForm.QUESTION, "");
    double divided =
        nats(
            GenerationRequest.ask(context, rest)
                .withForm(form)
                .withChat(false)
                .withPlan(engine.plan("full")),
            continuation);
    double whole = nats(GenerationRequest.prompt(context + rest), continuation);
    assertEquals(whole, divided, 1e-4 * whole);
  }

  @Test
  void scaledPositionsChangeWhatIsPastTheWindowOnly() {
    String longText = MobyDick.text().substring(0, 16_000);
    TokenizedText tokens = engine.tokenize(longText);
    assertTrue(tokens.tokens() > 3_000, "past the window: " + tokens.tokens());
    List<Integer> continuation =
        java.util.Arrays.stream(engine.tokenize(MobyDick.text().substring(16_000, 16_300)).ids())
            .boxed()
            .toList();
    var yarn = new RopeScaling(RopeScaling.Method.YARN, 0);
    var ntk = new RopeScaling(RopeScaling.Method.NTK, 0);
    GenerationRequest past = GenerationRequest.prompt(longText);
    double plain = nats(past, continuation);
    assertTrue(nats(past.withRopeScaling(yarn), continuation) < plain, "YaRN helps");
    assertTrue(nats(past.withRopeScaling(ntk), continuation) < plain, "NTK helps");
    GenerationRequest within = GenerationRequest.prompt(longText.substring(0, 2_000));
    assertEquals(nats(within, continuation), nats(within.withRopeScaling(yarn), continuation));
  }

  @Test
  void nothingCannotBeScored() {
    assertThrows(
        InferenceException.class, () -> engine.score(request(), List.of(), (i, token, l) -> {}));
  }

  /** Mean negative log-probability of the tokens. */
  private static double nats(GenerationRequest request, List<Integer> continuation) {
    double[] sum = new double[1];
    engine.score(
        request,
        continuation,
        (index, token, logits) -> {
          double total = 0;
          double largest = Double.NEGATIVE_INFINITY;
          for (float logit : logits) {
            largest = Math.max(largest, logit);
          }
          for (float logit : logits) {
            total += Math.exp(logit - largest);
          }
          sum[0] += largest + Math.log(total) - logits[token];
        });
    return sum[0] / continuation.size();
  }
}
