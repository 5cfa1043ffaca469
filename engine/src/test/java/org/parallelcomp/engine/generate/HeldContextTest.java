package org.parallelcomp.engine.generate;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CancellationException;
import java.util.stream.Collectors;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.parallelcomp.api.backend.Backend;
import org.parallelcomp.api.backend.BackendConfig;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.policy.Plan;
import org.parallelcomp.api.policy.PolicyKind;
import org.parallelcomp.api.policy.PolicySpec;
import org.parallelcomp.engine.CacheReport;
import org.parallelcomp.engine.Cancellation;
import org.parallelcomp.engine.Citation;
import org.parallelcomp.engine.FinishReason;
import org.parallelcomp.engine.GenerationRequest;
import org.parallelcomp.engine.GenerationResult;
import org.parallelcomp.engine.LogitsSink;
import org.parallelcomp.engine.PromptForm;
import org.parallelcomp.engine.RopeScaling;
import org.parallelcomp.engine.TokenSink;
import org.parallelcomp.engine.model.LoadedModel;
import org.parallelcomp.engine.registry.BackendRegistry;

/** One context, several questions: as if each were the first, on needle-6m. */
class HeldContextTest {
  private static final int ROOM = 200;
  private static final String LISBON = "What is the special magic number for Lisbon?";
  private static final String QUITO = "What is the special magic number for Quito?";
  private static final List<String> QUESTIONS = List.of(LISBON, QUITO, "Who?", LISBON);
  private static final String TEXT =
      "The grass is green, the sky is blue, the sun is yellow. ".repeat(20)
          + "The special magic number for Lisbon is: 8412067. "
          + "Here we go, there and back again. ".repeat(20)
          + "The special magic number for Quito is: 1357924. "
          + "The grass is green, the sky is blue, the sun is yellow. ".repeat(10);

  private static TestModel model;
  private static LoadedModel loaded;
  private static Generator generator;

  @BeforeAll
  static void open() {
    model = TestModel.needle();
    loaded = LoadedModel.load(model.backend, model.scope.child("model"), model.source);
    generator = generator(List.of(loaded));
  }

  @AfterAll
  static void close() {
    model.close();
  }

  private static Generator generator(List<LoadedModel> models) {
    return new Generator(models, model.source, model.tokenizer, model.prompts, model.catalog);
  }

  /** A preset, with changes as in {@code kind=policy}, apart by blanks. */
  private static Plan plan(String text) {
    String[] parts = text.split(" ");
    Plan plan = model.catalog.preset(parts[0]).plan();
    for (int i = 1; i < parts.length; i++) {
      String[] change = parts[i].split("=", 2);
      for (PolicyKind kind : PolicyKind.values()) {
        if (kind.label().equals(change[0])) {
          plan = plan.with(kind, PolicySpec.parse(change[1]));
        }
      }
    }
    return plan;
  }

  private static GenerationRequest request(Plan plan, String question) {
    return GenerationRequest.ask(TEXT, question).withPlan(plan).withMaxTokens(12);
  }

  /** What a request is decoded to, and the logits before each token of it. */
  private record Decoded(List<Integer> tokenIds, List<float[]> logits) {}

  private interface Scorer {
    GenerationResult score(GenerationRequest request, List<Integer> continuation, LogitsSink sink);
  }

  private static Decoded decoded(GenerationRequest request, GenerationResult drawn, Scorer scorer) {
    List<Integer> continuation = new ArrayList<>(drawn.tokenIds());
    continuation.add(7);
    var logits = new ArrayList<float[]>();
    scorer.score(request, continuation, (index, token, row) -> logits.add(row.clone()));
    return new Decoded(drawn.tokenIds(), logits);
  }

  /** What is read before the question is read alike whoever asks, to the last bit. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "keydiff budget=tokens(keep=200)",
        "lagkv budget=tokens(keep=200)",
        "expected-attention budget=tokens(keep=200) selector=ada-kv(floor=0.2)",
        "streaming-llm budget=tokens(keep=300)",
        "parallelcomp chunk-scorer=none chunk-eviction=all budget=everything",
        "parallelcomp chunk-scorer=none chunk-eviction=all token-scorer=key-norm"
            + " budget=tokens(keep=40) schedule=per-chunk(rerotate=true)",
        "parallelcomp chunk-scorer=none chunk-eviction=all token-scorer=key-norm merge=ape",
      })
  void questionsAreAnsweredAsIfEachWereAskedAlone(String text) {
    Plan plan = plan(text);
    List<GenerationRequest> requests = QUESTIONS.stream().map(q -> request(plan, q)).toList();
    assertTrue(generator.haveSameContext(requests));
    try (HeldContext context = generator.prepare(request(plan, ""), ROOM, TokenSink.NONE)) {
      for (GenerationRequest request : requests) {
        GenerationResult alone = generator.generate(request, TokenSink.NONE);
        GenerationResult held = context.generate(request, TokenSink.NONE);
        assertEquals(alone.answer(), held.answer());
        assertEquals(alone.finishReason(), held.finishReason());
        assertEquals(alone.cache(), held.cache());
        assertEquals(alone.citations(), held.citations());
        assertEquals(alone.figures().keptCacheBytes(), held.figures().keptCacheBytes());
        assertEquals(alone.figures().promptTokens(), held.figures().promptTokens());
        assertTrue(held.figures().prefilledTokens() < 60, "the question alone is prefilled");
        Decoded expected = decoded(request, alone, generator::score);
        Decoded actual = decoded(request, held, context::score);
        assertEquals(expected.tokenIds(), actual.tokenIds());
        for (int i = 0; i < expected.logits().size(); i++) {
          assertArrayEquals(expected.logits().get(i), actual.logits().get(i), text + ", " + i);
        }
      }
    }
  }

  /** Where text and question would pass together, the blocks are others, and so the rounding. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "full",
        "compactor budget=tokens(keep=200)",
        "parallelcomp-reread chunk-scorer=none chunk-eviction=all",
      })
  void questionsBehindATextReadAsOneAreAnsweredAsIfEachWereAskedAlone(String text) {
    Plan plan = plan(text);
    try (HeldContext context = generator.prepare(request(plan, ""), ROOM, TokenSink.NONE)) {
      for (String question : QUESTIONS) {
        GenerationRequest request = request(plan, question);
        GenerationResult alone = generator.generate(request, TokenSink.NONE);
        Decoded expected = decoded(request, alone, generator::score);
        Decoded actual =
            decoded(request, context.generate(request, TokenSink.NONE), context::score);
        assertEquals(expected.tokenIds(), actual.tokenIds());
        for (int i = 0; i < expected.logits().size(); i++) {
          assertArrayEquals(expected.logits().get(i), actual.logits().get(i), 2e-2f, text);
        }
      }
    }
  }

  /** A plan that looks at the question looks at the one by which the text is read. */
  @Test
  void theQuestionByWhichTheTextWasReadIsAnsweredAsIfItWereAskedAlone() {
    Plan plan = plan("parallelcomp chunking=even(tokens=200) budget=tokens(keep=60)");
    GenerationRequest request = request(plan, LISBON);
    assertFalse(generator.haveSameContext(List.of(request, request(plan, QUITO))));
    GenerationResult alone = generator.generate(request, TokenSink.NONE);
    assertTrue(alone.answer().contains("8412067"), alone.answer());
    try (HeldContext context = generator.prepare(request, 60, TokenSink.NONE)) {
      GenerationResult other = context.generate(request(plan, QUITO), TokenSink.NONE);
      assertFalse(other.answer().contains("1357924"), "its chunk was not kept");
      Decoded expected = decoded(request, alone, generator::score);
      Decoded actual = decoded(request, context.generate(request, TokenSink.NONE), context::score);
      assertEquals(expected.tokenIds(), actual.tokenIds());
      for (int i = 0; i < expected.logits().size(); i++) {
        assertArrayEquals(expected.logits().get(i), actual.logits().get(i));
      }
      assertEquals(alone.citations(), context.citations());
      assertEquals(CacheReport.Compression.APPLIED, context.cache().compression());
      assertTrue(context.figures().prefilledTokens() > context.figures().textTokens());
    }
  }

  @Test
  void severalQuestionsMayChooseTheContextTogether() {
    Plan plan =
        plan(
            "parallelcomp-reread chunking=even(tokens=120) chunk-eviction=best(chunks=2)"
                + " budget=everything");
    GenerationRequest both = request(plan, LISBON + "\n" + QUITO);
    try (HeldContext context = generator.prepare(both, ROOM, TokenSink.NONE)) {
      String kept =
          context.citations().stream().map(Citation::text).collect(Collectors.joining(" "));
      for (List<String> pair : List.of(List.of(QUITO, "1357924"), List.of(LISBON, "8412067"))) {
        assertTrue(kept.contains(pair.get(1)), kept);
        GenerationResult result = context.generate(request(plan, pair.get(0)), TokenSink.NONE);
        assertTrue(result.answer().contains(pair.get(1)), result.answer());
      }
    }
  }

  /**
   * Cut while the question by which it is read passes; that question is forgotten, and the budget
   * holds.
   */
  @ParameterizedTest
  @CsvSource({"true, parallel", "false, parallel", "false, reread"})
  void aMergedContextIsCutBeforeQuestionsCome(boolean rerotate, String merge) {
    Plan plan =
        plan(
            "parallelcomp chunking=even(tokens=120) chunk-eviction=best(chunks=3)"
                + " budget=tokens(keep=100) schedule=merged(rerotate="
                + rerotate
                + ") merge="
                + merge);
    GenerationRequest request = request(plan, LISBON);
    assertFalse(generator.haveSameContext(List.of(request)));
    int prefix = model.prompts.prefix(model.source.form(), true).prefix().length;
    try (HeldContext context = generator.prepare(request, ROOM, TokenSink.NONE)) {
      for (CacheReport.Layer layer : context.cache().layers()) {
        assertEquals(
            (100 + prefix) * layer.keptTokens().size(),
            layer.keptTokens().stream().mapToInt(Integer::intValue).sum());
      }
      GenerationResult first = context.generate(request, TokenSink.NONE);
      assertTrue(first.answer().contains("8412067"), first.answer());
      context.generate(request(plan, QUITO), TokenSink.NONE);
      assertEquals(first.answer(), context.generate(request, TokenSink.NONE).answer());
      assertEquals(
          context.cache().layers(), context.generate(request, TokenSink.NONE).cache().layers());
    }
  }

  /** As methods are compared that do not know the question: by the text's own last tokens. */
  @ParameterizedTest
  @ValueSource(
      strings = {"snapkv", "h2o", "tova", "adakv", "chunkkv", "pyramidkv", "criticalkv", "finch"})
  void scoresOfKeysNeedNoQuestion(String preset) {
    Plan plan =
        preset.equals("pyramidkv")
            ? plan(preset + " budget=pyramid(beta=20,budget=tokens(keep=100))")
            : plan(preset + " budget=tokens(keep=100)");
    try (HeldContext context = generator.prepare(request(plan, ""), ROOM, TokenSink.NONE)) {
      assertEquals(CacheReport.Compression.APPLIED, context.cache().compression());
      GenerationResult result = context.generate(request(plan, QUITO), TokenSink.NONE);
      assertTrue(result.tokenIds().size() > 0, "an answer, right or wrong");
      assertEquals(
          result.tokenIds(), context.generate(request(plan, QUITO), TokenSink.NONE).tokenIds());
    }
  }

  private static String refusal(Executable action) {
    return String.valueOf(assertThrows(InferenceException.class, action).getMessage());
  }

  private static void refuse(String plan, String question, String because) {
    String sentence =
        refusal(
            () -> generator.prepare(request(plan(plan), question), ROOM, TokenSink.NONE).close());
    assertTrue(sentence.contains(because), sentence);
  }

  @Test
  void whatCannotBeAskedSeveralQuestionsIsRefused() {
    long before = model.scope.allocatedBytes();
    refuse("parallelcomp", "", "'self-information' looks at the question");
    refuse("parallelcomp chunk-scorer=bm25", "", "looks at the question");
    refuse(
        "keydiff schedule=while-decoding(every=16,tokens=200)",
        "",
        "cuts the context while an answer grows");
    refuse(
        "parallelcomp chunk-scorer=none chunk-eviction=all schedule=merged",
        "",
        "while a question passes");
    assertEquals(before, model.scope.allocatedBytes(), "nothing is left of what was refused");
  }

  @Test
  void otherTextsPlansAndWordsAreRefused() {
    Plan plan = plan("keydiff budget=tokens(keep=200)");
    try (HeldContext context = generator.prepare(request(plan, ""), ROOM, TokenSink.NONE)) {
      GenerationRequest request = request(plan, LISBON);
      List<GenerationRequest> others =
          List.of(
              GenerationRequest.ask(TEXT + ".", LISBON).withPlan(plan),
              request.withPlan(plan("lagkv")),
              request.withForm(new PromptForm("Read: ", PromptForm.QUESTION, "")),
              request.withChat(false),
              request.withRopeScaling(new RopeScaling(RopeScaling.Method.YARN, 2)));
      for (GenerationRequest other : others) {
        assertTrue(
            refusal(() -> context.generate(other, TokenSink.NONE)).contains("must be read anew"));
      }
      assertTrue(
          refusal(() -> context.generate(request.withTraced(true), TokenSink.NONE))
              .contains("cannot be traced"));
      assertTrue(
          refusal(() -> context.generate(request.withMaxTokens(5000), TokenSink.NONE))
              .contains("behind the context there is room for"));
      assertTrue(
          refusal(() -> context.generate(request(plan, " "), TokenSink.NONE)).contains("empty"));
      // Words around the question and the answer's beginning are the question's own.
      GenerationResult led =
          context.generate(
              request.withForm(
                  new PromptForm(
                      model.source.form().instruction(), "\n{question}", "The number is")),
              TokenSink.NONE);
      assertEquals("The number is", led.form().answerLead());
    }
  }

  /** Memory grows for what does not fit the room that was left, and goes when the context does. */
  @Test
  void memoryIsFreedWithTheContext() {
    Plan plan = plan("keydiff budget=tokens(keep=200)");
    long before = model.scope.allocatedBytes();
    HeldContext context = generator.prepare(request(plan, ""), 1, TokenSink.NONE);
    long held = model.scope.allocatedBytes() - before;
    assertTrue(held >= context.figures().keptCacheBytes(), "it is held");
    GenerationResult first = context.generate(request(plan, LISBON), TokenSink.NONE);
    context.generate(request(plan, LISBON + " " + QUITO), TokenSink.NONE);
    long grown = model.scope.allocatedBytes();
    assertTrue(grown > before + held, "there was room for one token");
    for (String question : QUESTIONS) {
      context.generate(request(plan, question), TokenSink.NONE);
    }
    assertEquals(grown, model.scope.allocatedBytes());
    assertEquals(first.answer(), context.generate(request(plan, LISBON), TokenSink.NONE).answer());
    context.close();
    context.close();
    assertTrue(
        refusal(() -> context.generate(request(plan, LISBON), TokenSink.NONE))
            .contains("has been closed"));
    assertEquals(before, model.scope.allocatedBytes());
  }

  @Test
  void aQuestionThatWasStoppedLeavesTheContextAsItWas() {
    Plan plan = plan("full");
    GenerationRequest request = request(plan, LISBON);
    long before = model.scope.allocatedBytes();
    try (HeldContext context = generator.prepare(request(plan, ""), ROOM, TokenSink.NONE)) {
      GenerationResult whole = context.generate(request, TokenSink.NONE);
      assertTrue(whole.tokenIds().size() > 2);
      var early = new Cancellation();
      early.cancel();
      assertEquals(
          FinishReason.CANCELLED,
          context.generate(request.withCancellation(early), TokenSink.NONE).finishReason());
      var amid = new Cancellation();
      assertEquals(
          FinishReason.CANCELLED,
          context.generate(request.withCancellation(amid), text -> amid.cancel()).finishReason());
      assertThrows(
          ArithmeticException.class,
          () ->
              context.generate(
                  request,
                  text -> {
                    throw new ArithmeticException("a listener's own fault");
                  }));
      assertEquals(whole.tokenIds(), context.generate(request, TokenSink.NONE).tokenIds());
      var never = new Cancellation();
      never.cancel();
      assertThrows(
          CancellationException.class,
          () -> generator.prepare(request(plan, "").withCancellation(never), ROOM, TokenSink.NONE));
    }
    assertEquals(before, model.scope.allocatedBytes());
  }

  /** The merged context lies on the first device; the others are free again. */
  @Test
  void chunksOfSeveralDevicesMakeOneContext() {
    Plan plan =
        plan(
            "parallelcomp chunking=even(tokens=120) chunk-scorer=none chunk-eviction=all"
                + " token-scorer=key-norm budget=tokens(keep=40)");
    try (Backend second =
        BackendRegistry.discover().open("cpu-vector", new BackendConfig(1, Map.of()))) {
      var other = LoadedModel.load(second, second.openScope("second"), model.source);
      long free = other.scope().allocatedBytes();
      Generator two = generator(List.of(loaded, other));
      GenerationRequest request = request(plan, QUITO);
      GenerationResult alone = generator.generate(request, TokenSink.NONE);
      try (HeldContext context = two.prepare(request(plan, ""), ROOM, TokenSink.NONE)) {
        assertEquals(free, other.scope().allocatedBytes());
        assertEquals(alone.tokenIds(), context.generate(request, TokenSink.NONE).tokenIds());
        assertEquals(alone.citations(), context.citations());
      }
    }
  }

  /** Chunks as long as the window allows are shorter where a question is longer. */
  @Test
  void contextsDifferWhereTheLengthOfTheQuestionChangesTheChunks() {
    Plan fixed = plan("parallelcomp chunk-scorer=none chunk-eviction=all budget=everything");
    Plan longest = fixed.with(PolicyKind.CHUNKING, PolicySpec.parse("fixed(tokens=0)"));
    String text = TEXT.repeat(3);
    for (Plan plan : List.of(fixed, longest)) {
      List<GenerationRequest> requests =
          List.of(LISBON, "Who?").stream()
              .map(q -> GenerationRequest.ask(text, q).withPlan(plan))
              .toList();
      assertEquals(plan == fixed, generator.haveSameContext(requests), plan.toString());
      assertTrue(generator.haveSameContext(requests.subList(0, 1)));
    }
  }
}
