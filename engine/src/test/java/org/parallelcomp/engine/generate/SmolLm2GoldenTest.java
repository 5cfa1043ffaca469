package org.parallelcomp.engine.generate;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.parallelcomp.api.backend.MemoryScope;
import org.parallelcomp.api.cache.KvLayer;
import org.parallelcomp.engine.PromptForm;
import org.parallelcomp.engine.text.PromptParts;

/**
 * SmolLM2-135M-Instruct (Q4_1), a model that nobody here made, against its float32 reference in
 * PyTorch. The file is not part of the project; scripts/fetch-smollm2.sh brings it.
 */
class SmolLm2GoldenTest {
  private static final Path MODEL =
      Path.of(
          System.getProperty("parallelcomp.smollm2", "../models/SmolLM2-135M-Instruct.Q4_1.gguf"));

  /**
   * Two float32 implementations agree to 3e-5 on short prompts; sums over 1428 tokens in another
   * order differ by a little more.
   */
  private static final double LOGIT_TOLERANCE = 2e-3;

  private static JsonNode golden;
  private static TestModel model;

  @BeforeAll
  static void open() throws Exception {
    Assumptions.assumeTrue(
        Files.exists(MODEL), () -> MODEL + " is not there; scripts/fetch-smollm2.sh fetches it");
    golden =
        new ObjectMapper()
            .readTree(Path.of("src/test/resources/smollm2-135m/golden.json").toFile());
    model = new TestModel(MODEL);
  }

  @AfterAll
  static void close() {
    if (model != null) {
      model.close();
    }
  }

  @Test
  void logitsAndGreedyContinuationsAreThoseOfTheReference() {
    for (JsonNode prompt : golden.get("prompts")) {
      int[] ids = GoldenAssertions.ints(prompt.get("ids"));
      int[] greedy = GoldenAssertions.ints(prompt.get("greedy"));
      TestModel.Continuation continuation = model.continuation(ids, greedy.length);
      GoldenAssertions.assertLogits(prompt.get("top10"), continuation.logits(), LOGIT_TOLERANCE);
      assertArrayEquals(greedy, continuation.tokenIds(), prompt.get("name").asText());
    }
  }

  @Test
  void parallelCompKeepsAndAnswersWhatTheReferenceDoes() {
    JsonNode expected = golden.get("parallelcomp");
    JsonNode words = expected.get("form");
    var form =
        new PromptForm(
            words.get("before").asText(),
            words.get("ask").asText().replace("{q}", PromptForm.QUESTION),
            words.get("lead").asText());
    PromptParts prompt = model.prompts.build(form, expected.get("question").asText());
    assertArrayEquals(GoldenAssertions.ints(expected.get("prefix")), prompt.prefix());
    assertArrayEquals(GoldenAssertions.ints(expected.get("query")), prompt.query());
    List<Integer> questionTokens = GoldenAssertions.list(expected.get("question_tokens"));
    assertEquals(questionTokens.getFirst(), prompt.questionFrom());
    assertEquals(questionTokens.getLast() + 1, prompt.questionTo());
    int[] textIds = model.tokenizer.encode(expected.get("context").asText()).ids();

    for (JsonNode run : expected.get("runs")) {
      JsonNode settings = run.get("settings");
      // The reference's window of 32 ends at the query's 28 tokens; ours is told to take them all.
      if (settings.path("window").asInt() > prompt.query().length) {
        ((ObjectNode) settings).put("window", 0);
      }
      try (MemoryScope scope = model.scope.child("run")) {
        ContextRequest request =
            model.request(scope, GoldenRun.plan(model.catalog, settings, 320), prompt, textIds, 24);
        var chunks = request.chunks();
        var chunkIds = new ArrayList<List<Integer>>();
        chunks.forEach(chunk -> chunkIds.add(Arrays.stream(request.idsOf(chunk)).boxed().toList()));
        var expectedIds = new ArrayList<List<Integer>>();
        expected.get("chunks").forEach(ids -> expectedIds.add(GoldenAssertions.list(ids)));
        assertEquals(expectedIds, chunkIds);

        Context context = ParallelContext.build(request, chunks);

        List<Integer> kept = context.keptChunks().stream().map(c -> c.chunk()).toList();
        assertEquals(GoldenAssertions.list(run.get("kept")), kept, settings.toString());
        for (Context.KeptChunk chunk : context.keptChunks()) {
          assertEquals(
              expected.get("I_c").get(chunk.chunk()).asDouble(), chunk.selfInformation(), 1e-3);
        }
        assertEquals(run.get("start").asInt(), context.nextPosition());
        JsonNode dropped = run.get("dropped_by_calibration_per_layer");
        for (int layer = 0; layer < context.layers().size(); layer++) {
          KvLayer kvLayer = context.layers().get(layer).layer();
          int keys = run.get("keys").asInt() - (dropped.isNull() ? 0 : dropped.get(layer).asInt());
          assertEquals(keys, kvLayer.maxTokens(), settings + " layer " + layer);
        }
        GoldenAssertions.assertLogits(
            run.get("top10"), model.step(request, context), LOGIT_TOLERANCE);
      }
    }
  }
}
