package org.parallelcomp.engine.generate;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.parallelcomp.api.backend.MemoryScope;
import org.parallelcomp.api.cache.KvLayer;
import org.parallelcomp.engine.PromptForm;
import org.parallelcomp.engine.TestModels;
import org.parallelcomp.engine.text.PromptParts;

/** needle-6m at F16 against its float32 reference in PyTorch, from GGUF and from safetensors. */
class NeedleGoldenTest {
  private static final PromptForm FORM = new PromptForm("", "\n{question}", "");
  private static final double LOGIT_TOLERANCE = 2e-3;

  private static JsonNode golden;

  /** Logits of the runs in which equal scores compete: torch.topk leaves open which of them win. */
  private static JsonNode tiesByPosition;

  private static TestModel gguf;
  private static TestModel safetensors;

  @BeforeAll
  static void open() throws Exception {
    golden = new ObjectMapper().readTree(TestModels.needle("golden.json").toFile());
    tiesByPosition =
        new ObjectMapper()
            .readTree(TestModels.needle("golden-ties-by-position.json").toFile())
            .get("runs");
    gguf = TestModel.needle();
    safetensors = new TestModel(TestModels.needleFolder());
  }

  @AfterAll
  static void close() {
    gguf.close();
    safetensors.close();
  }

  private static TestModel model(String format) {
    return format.equals("gguf") ? gguf : safetensors;
  }

  @ParameterizedTest
  @ValueSource(strings = {"gguf", "safetensors"})
  void logitsAndGreedyContinuationsAreThoseOfTheReference(String format) {
    for (JsonNode prompt : golden.get("prompts")) {
      int[] ids = GoldenAssertions.ints(prompt.get("ids"));
      int[] greedy = GoldenAssertions.ints(prompt.get("greedy16"));
      TestModel.Continuation continuation = model(format).continuation(ids, greedy.length);
      GoldenAssertions.assertLogits(
          prompt.get("last_top5"), continuation.logits(), LOGIT_TOLERANCE);
      assertArrayEquals(greedy, continuation.tokenIds(), prompt.get("text").asText());
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"gguf", "safetensors"})
  void parallelCompKeepsAndAnswersWhatTheReferenceDoes(String format) {
    TestModel model = model(format);
    JsonNode expected = golden.get("parallelcomp");
    PromptParts prompt = model.prompts.build(FORM, expected.get("question").asText());
    assertArrayEquals(GoldenAssertions.ints(expected.get("prefix_ids")), prompt.prefix());
    assertArrayEquals(GoldenAssertions.ints(expected.get("query_ids")), prompt.query());
    int[] textIds = model.tokenizer.encode(expected.get("context").asText()).ids();

    for (int i = 0; i < expected.get("runs").size(); i++) {
      JsonNode run = expected.get("runs").get(i);
      try (MemoryScope scope = model.scope.child("run")) {
        ContextRequest request =
            model.request(
                scope,
                GoldenRun.plan(model.catalog, run, expected.get("chunk_size").asInt()),
                prompt,
                textIds,
                24);
        var chunks = request.chunks();
        assertEquals(
            GoldenAssertions.list(expected.get("chunk_lengths")),
            chunks.stream().map(chunk -> chunk.tokens()).toList());

        Context context = ParallelContext.build(request, chunks);

        List<Integer> kept = context.keptChunks().stream().map(c -> c.chunk()).toList();
        assertEquals(GoldenAssertions.list(run.get("kept")), kept);
        for (Context.KeptChunk chunk : context.keptChunks()) {
          assertEquals(
              expected.get("I_c").get(chunk.chunk()).asDouble(), chunk.selfInformation(), 2e-3);
        }
        assertEquals(run.get("start").asInt(), context.nextPosition());
        var keys = new ArrayList<Integer>();
        for (KvLayer layer : context.layers().stream().map(OwnedLayer::layer).toList()) {
          keys.add(layer.maxTokens());
          assertEquals((long) layer.maxTokens() * layer.kvHeads(), layer.headTokens());
        }
        assertEquals(GoldenAssertions.list(run.get("keys_per_layer")), keys);
        GoldenAssertions.assertLogits(
            tiesByPosition.path(String.valueOf(i)).isMissingNode()
                ? run.get("last_top5")
                : tiesByPosition.get(String.valueOf(i)),
            model.step(request, context),
            LOGIT_TOLERANCE);
      }
    }
    assertTrue(expected.get("runs").size() >= 5);
  }
}
