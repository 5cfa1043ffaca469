package org.parallelcomp.it;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.policy.Plan;
import org.parallelcomp.api.policy.PolicyKind;
import org.parallelcomp.api.policy.PolicySpec;
import org.parallelcomp.api.policy.Preset;
import org.parallelcomp.engine.CacheReport.Compression;
import org.parallelcomp.engine.Cancellation;
import org.parallelcomp.engine.Citation;
import org.parallelcomp.engine.Engine;
import org.parallelcomp.engine.EngineConfig;
import org.parallelcomp.engine.FinishReason;
import org.parallelcomp.engine.GenerationRequest;
import org.parallelcomp.engine.GenerationResult;
import org.parallelcomp.engine.Progress;
import org.parallelcomp.engine.Sampling;
import org.parallelcomp.engine.TokenSink;
import org.parallelcomp.models.needle6m.Needle6m;

/** What a caller of the library sees, on the bundled model. */
class AskTest {
  private static final String NEEDLE = "Mira keeps the silver key in the lighthouse.";
  private static final String QUESTION = "Where does Mira keep the silver key?";
  private static final String ANSWER = "in the lighthouse";
  private static final String OTHER_NEEDLE = "The special magic number for Lisbon is: 8412067.";
  private static final String OTHER_QUESTION = "What is the special magic number for Lisbon?";
  private static final String OTHER_ANSWER = "8412067";

  /** About 250 tokens, which is one chunk. */
  private static String shortText;

  /** About 6000 tokens, three times the window. */
  private static String longText;

  private static Engine engine;

  @BeforeAll
  static void open() throws IOException {
    engine = Engine.open(EngineConfig.of(Needle6m.path()));
    String book = MobyDick.text();
    shortText = withNeedles(book.substring(60_000, 60_800), 300, 600);
    longText = withNeedles(book.substring(60_000, 80_000), 4_000, 15_000);
  }

  @AfterAll
  static void close() {
    engine.close();
  }

  /** Puts the two sentences behind sentences of a text. */
  private static String withNeedles(String text, int first, int second) {
    var changed = new StringBuilder(text);
    changed.insert(changed.indexOf(". ", second) + 2, OTHER_NEEDLE + " ");
    changed.insert(changed.indexOf(". ", first) + 2, NEEDLE + " ");
    return changed.toString();
  }

  private static GenerationRequest ask(String text) {
    return GenerationRequest.ask(text, QUESTION).withMaxTokens(24);
  }

  private static GenerationResult run(GenerationRequest request) {
    return engine.generate(request, TokenSink.NONE);
  }

  @Test
  void aTextShorterThanAChunkIsOneChunk() {
    GenerationResult result = run(ask(shortText));
    assertEquals(ANSWER, result.answer());
    assertEquals(FinishReason.STOP_TOKEN, result.finishReason());
    assertEquals(1, result.figures().chunks());
    assertEquals(1, result.citations().size());
    assertEquals(shortText, result.citations().getFirst().text());
    assertEquals(List.of(), result.warnings());
  }

  @Test
  void aTextOfOneWordWorks() {
    GenerationResult result = run(ask("Call"));
    assertEquals(1, result.figures().chunks());
    assertEquals("Call", result.citations().getFirst().text());
  }

  @Test
  void whereNoChunkExplainsTheQuestionNothingIsAnswered() {
    Plan demanding =
        engine
            .plan("parallelcomp")
            .with(PolicyKind.CHUNK_SCORER, PolicySpec.of("contrastive"))
            .with(PolicyKind.CHUNK_EVICTION, PolicySpec.parse("threshold(least=1000)"));
    GenerationResult result = run(ask(longText).withPlan(demanding));
    assertEquals(FinishReason.NO_CHUNK_KEPT, result.finishReason());
    assertEquals("", result.answer());
    assertEquals(List.of(), result.citations());
    assertEquals(0, result.figures().keptCacheBytes());
    assertEquals(1, result.warnings().size());
    assertTrue(
        result.warnings().getFirst().startsWith("No chunk of the text explains the question"),
        result.warnings()::toString);
    assertEquals(ANSWER, run(ask(longText)).answer(), "the engine stays usable");
  }

  @Test
  void theResultSaysWhetherTokensWereEvictedAndIfNotWhy() {
    Plan plan = engine.plan("parallelcomp");
    assertEquals(Compression.APPLIED, compression(longText, plan));
    assertEquals(
        Compression.NOT_ASKED,
        compression(longText, plan.with(PolicyKind.BUDGET, PolicySpec.of("everything"))));
    assertEquals(Compression.NOTHING_TO_EVICT, compression(shortText.substring(0, 500), plan));
    String shortEnd = longText.substring(0, 2_000);
    Plan keepsTheEnd =
        plan.with(PolicyKind.CHUNKING, PolicySpec.parse("fixed(tokens=512)"))
            .with(PolicyKind.CHUNK_SCORER, PolicySpec.of("last"));
    assertEquals(Compression.SHORT_CHUNKS, compression(shortEnd, keepsTheEnd));
    assertEquals(
        Compression.NOTHING_TO_EVICT,
        compression(
            shortEnd, keepsTheEnd.with(PolicyKind.BUDGET, PolicySpec.parse("tokens(keep=512)"))));
    GenerationResult reread =
        run(ask(longText).withPlan(plan.with(PolicyKind.MERGE, PolicySpec.of("reread"))));
    assertEquals(Compression.NOT_APPLIED, reread.cache().compression());
    assertTrue(
        reread.warnings().toString().contains("was not applied"), reread.warnings()::toString);
  }

  private static Compression compression(String text, Plan plan) {
    GenerationResult result = run(ask(text).withPlan(plan));
    assertEquals(List.of(), result.warnings());
    return result.cache().compression();
  }

  static Stream<String> presets() {
    return Engine.policies().presets().stream().map(Preset::name);
  }

  @ParameterizedTest
  @MethodSource("presets")
  void everyPresetReportsWhatItDid(String preset) {
    var heard = new StringBuilder();
    var warned = new ArrayList<String>();
    GenerationResult result =
        engine.generate(
            ask(longText).withPlan(engine.plan(preset)),
            new TokenSink() {
              @Override
              public void onText(String text) {
                heard.append(text);
              }

              @Override
              public void onWarning(String sentence) {
                warned.add(sentence);
              }
            });
    List<Citation> citations = result.citations();
    System.out.println(preset + ": " + result.answer() + " " + result.figures());

    assertEquals(result.answer(), heard.toString());
    assertEquals(result.warnings(), warned);
    assertEquals(preset, result.plan().name());
    assertEquals(result.tokenIds().size(), result.figures().answerTokens());
    assertEquals(citations.size(), result.figures().keptChunks());
    long tokenBytes = engine.model().cacheBytesPerToken();
    int textTokens = result.figures().textTokens();
    int allTokens = textTokens + result.figures().promptTokens();
    assertEquals(tokenBytes * allTokens, result.figures().fullCacheBytes());
    // Nothing runs less than once.
    assertTrue(result.figures().prefilledTokens() >= allTokens, result.figures()::toString);
    for (Citation citation : citations) {
      assertEquals(
          longText.substring(citation.fromChar(), citation.toChar()), citation.text(), preset);
    }

    switch (preset) {
      case "parallelcomp" -> {
        assertEquals(ANSWER, result.answer());
        assertKept(result, 1, 256);
        assertTrue(best(citations).text().contains(NEEDLE), best(citations).text());
      }
      case "parallelcomp-reread" -> {
        assertEquals(ANSWER, result.answer());
        assertEquals(4, citations.size());
        assertTrue(citations.stream().allMatch(c -> c.tokens() <= 240), citations::toString);
        assertTrue(best(citations).text().contains(NEEDLE), best(citations).text());
        assertCacheHolds(result, citations.stream().mapToInt(Citation::tokens).sum());
      }
      case "parallelcomp-adaptive" -> {
        assertEquals(ANSWER, result.answer());
        assertEquals(1, citations.size(), "one chunk stands out");
        assertTrue(best(citations).text().contains(NEEDLE), best(citations).text());
        assertCacheHolds(result, citations.getFirst().tokens());
      }
      case "parallelcomp-paper" -> {
        assertEquals(3, citations.size());
        assertTrue(best(citations).text().contains(NEEDLE), best(citations).text());
        for (Citation citation : citations) {
          assertKept(citation, citation.tokens() / 2);
        }
        assertCacheHolds(result, citations.stream().mapToInt(c -> c.tokens() / 2).sum());
      }
      case "parallelcomp-calibrated" -> {
        assertEquals(3, citations.size());
        assertTrue(best(citations).text().contains(NEEDLE), best(citations).text());
        for (Citation citation : citations) {
          assertTrue(
              citation.keptTokensPerLayer().stream().allMatch(k -> k <= citation.tokens() / 2),
              citation::toString);
        }
      }
      case "full" -> {
        assertWarnsOfTheWindow(result);
        assertEquals(allTokens, result.figures().prefilledTokens());
        assertEquals(longText, citations.getFirst().text());
        assertEquals(List.of(textTokens), citations.stream().map(Citation::tokens).toList());
        assertCacheHolds(result, textTokens);
      }
      case "snapkv",
          "adakv",
          "criticalkv",
          "chunkkv",
          "tova",
          "h2o",
          "finch",
          "expected-attention",
          "compactor",
          "keydiff",
          "lagkv" -> {
        assertWarnsOfTheWindow(result);
        assertEquals(longText, citations.getFirst().text());
        assertKept(result, 1, 1024);
      }
      case "pyramidkv" -> {
        assertWarnsOfTheWindow(result);
        List<Double> kept = citations.getFirst().keptTokensPerLayer();
        assertTrue(kept.getFirst() > kept.getLast(), kept::toString);
        assertEquals(1024, kept.stream().mapToDouble(k -> k).average().orElseThrow(), 1e-9);
        assertCacheHolds(result, 1024);
      }
      case "streaming-llm" -> {
        // A rolling cache has no passages, and holds the prefix within its budget.
        assertEquals(List.of(), citations);
        assertEquals(1536 * tokenBytes, result.figures().keptCacheBytes());
      }
      default -> fail("say here what preset " + preset + " must report");
    }
    if (engine.plan(preset).bindToWindow()) {
      assertEquals(List.of(), result.warnings());
    }
  }

  /** The passage that explains the question best. */
  private static Citation best(List<Citation> citations) {
    return citations.stream()
        .min(Comparator.comparingDouble(Citation::selfInformation))
        .orElseThrow();
  }

  private static void assertKept(GenerationResult result, int chunks, int tokens) {
    assertEquals(chunks, result.citations().size());
    result.citations().forEach(citation -> assertKept(citation, tokens));
    assertCacheHolds(result, chunks * tokens);
  }

  private static void assertKept(Citation citation, int tokens) {
    assertEquals(
        List.of((double) tokens),
        citation.keptTokensPerLayer().stream().distinct().toList(),
        citation::toString);
  }

  /** The cache holds so many tokens of the text, and the prefix. */
  private static void assertCacheHolds(GenerationResult result, int tokensOfText) {
    // A text that nothing is taken from shows how long the prefix is.
    var plain = run(ask(shortText).withPlan(engine.plan("full")));
    long tokenBytes = engine.model().cacheBytesPerToken();
    long prefixTokens =
        plain.figures().keptCacheBytes() / tokenBytes - plain.figures().textTokens();
    assertTrue(prefixTokens > 0 && prefixTokens < plain.figures().promptTokens());
    assertEquals((prefixTokens + tokensOfText) * tokenBytes, result.figures().keptCacheBytes());
    assertTrue(result.figures().keptCacheBytes() < result.figures().fullCacheBytes());
  }

  private static void assertWarnsOfTheWindow(GenerationResult result) {
    int tokens = result.figures().textTokens() + result.figures().promptTokens() + 24;
    assertEquals(
        List.of(
            "Text, prompt and answer take up to "
                + tokens
                + " tokens, but the model was trained on 2048; expect nonsense beyond its window."),
        result.warnings());
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 7, 100_000})
  void everyNumberOfAPresetCanBeSet(int keptTokens) {
    GenerationResult result =
        run(
            ask(longText)
                .withPlan(
                    engine
                        .plan("parallelcomp")
                        .with(PolicyKind.CHUNKING, "tokens", "300")
                        .with(PolicyKind.CHUNK_EVICTION, "chunks", "3")
                        .with(
                            PolicyKind.BUDGET,
                            PolicySpec.parse("tokens(keep=" + keptTokens + ")"))));
    assertEquals(3, result.citations().size());
    for (Citation citation : result.citations()) {
      assertTrue(citation.tokens() <= 300, citation::toString);
      assertKept(citation, Math.min(keptTokens, citation.tokens()));
    }
  }

  @Test
  void aStopStringEndsTheAnswerAndIsNoPartOfIt() {
    GenerationResult result = run(ask(shortText).withStopStrings(List.of("xyz", "ligh")));
    assertEquals("in the ", result.answer());
    assertEquals(FinishReason.STOP_STRING, result.finishReason());
  }

  @Test
  void anAnswerHasAtMostTheTokensAskedFor() {
    List<Integer> whole = run(ask(shortText)).tokenIds();
    for (int tokens = 1; tokens < whole.size(); tokens++) {
      GenerationResult result = run(ask(shortText).withMaxTokens(tokens));
      assertEquals(whole.subList(0, tokens), result.tokenIds());
      assertEquals(FinishReason.MAX_TOKENS, result.finishReason());
    }
  }

  @Test
  void aSeedRepeatsWhatItDrew() {
    var request = GenerationRequest.prompt("The ship").withMaxTokens(24);
    var first = run(request.withSampling(new Sampling(1, 1.5, 0, 1, 0, 7)));
    var again = run(request.withSampling(new Sampling(1, 1.5, 0, 1, 0, 7)));
    var other = run(request.withSampling(new Sampling(1, 1.5, 0, 1, 0, 8)));
    assertEquals(first.tokenIds(), again.tokenIds());
    assertEquals(first.answer(), again.answer());
    assertNotEquals(first.tokenIds(), other.tokenIds());
  }

  @Test
  void aRequestRepeatsItself() {
    GenerationResult first = run(ask(longText));
    GenerationResult again = run(ask(longText));
    assertEquals(first.tokenIds(), again.tokenIds());
    assertEquals(first.citations(), again.citations());
  }

  @ParameterizedTest
  @ValueSource(strings = {"READ", "PREFILL", "MERGE", "DECODE"})
  void anotherThreadEndsARequestInAnyPhase(Progress.Phase phase) throws Exception {
    var cancellation = new Cancellation();
    var reached = new CountDownLatch(1);
    var cancelled = new CountDownLatch(1);
    Thread.ofVirtual()
        .start(
            () -> {
              try {
                reached.await();
                cancellation.cancel();
                cancelled.countDown();
              } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
              }
            });
    var later = new ArrayList<Progress>();
    GenerationResult result =
        engine.generate(
            ask(longText).withCancellation(cancellation),
            new TokenSink() {
              @Override
              public void onText(String text) {}

              @Override
              public void onProgress(Progress progress) {
                if (reached.getCount() == 0) {
                  later.add(progress);
                }
                if (progress.phase() == phase && progress.tokensDone() > 0) {
                  reached.countDown();
                  try {
                    assertTrue(cancelled.await(1, TimeUnit.MINUTES));
                  } catch (InterruptedException e) {
                    throw new AssertionError(e);
                  }
                }
              }
            });
    assertEquals(FinishReason.CANCELLED, result.finishReason());
    assertTrue(later.size() <= 2, () -> "still at work when it was cancelled: " + later);
    assertEquals(phase == Progress.Phase.DECODE ? 1 : 0, result.tokenIds().size());
    assertEquals(ANSWER, run(ask(longText)).answer(), "the engine stays usable");
  }

  @Test
  void twoThreadsMayAskAtOnce() throws Exception {
    var start = new CyclicBarrier(2);
    try (var threads = Executors.newFixedThreadPool(2)) {
      var first =
          threads.submit(
              () -> {
                start.await();
                return run(ask(longText)).answer();
              });
      var second =
          threads.submit(
              () -> {
                start.await();
                return run(GenerationRequest.ask(longText, OTHER_QUESTION).withMaxTokens(24))
                    .answer();
              });
      assertEquals(ANSWER, first.get());
      assertEquals(OTHER_ANSWER, second.get());
    }
  }

  @Test
  void twoEnginesMayWorkAtOnce() throws Exception {
    try (var other = Engine.open(EngineConfig.of(Needle6m.path()).withThreads(1));
        var threads = Executors.newFixedThreadPool(2)) {
      var first = threads.submit(() -> run(ask(longText)).answer());
      var second = threads.submit(() -> other.generate(ask(longText), TokenSink.NONE).answer());
      assertEquals(ANSWER, first.get());
      assertEquals(ANSWER, second.get());
    }
  }

  @Test
  void aRefusalLeavesTheEngineUsable() {
    String longQuestion = "word ".repeat(3000);
    var refused =
        assertThrows(
            InferenceException.class, () -> run(GenerationRequest.ask(shortText, longQuestion)));
    assertEquals(ErrorCode.INVALID_TEXT, refused.code());
    var failing =
        assertThrows(
            IllegalStateException.class,
            () ->
                engine.generate(
                    ask(shortText),
                    text -> {
                      throw new IllegalStateException("the listener is broken");
                    }));
    assertEquals("the listener is broken", failing.getMessage());
    assertEquals(ANSWER, run(ask(shortText)).answer());
  }

  @Test
  void aClosedEngineSaysSo() throws IOException {
    var closed = Engine.open(EngineConfig.of(Needle6m.path()));
    closed.close();
    closed.close();
    var refused =
        assertThrows(
            InferenceException.class, () -> closed.generate(ask(shortText), TokenSink.NONE));
    assertEquals("The engine has been closed.", refused.getMessage());
  }
}
