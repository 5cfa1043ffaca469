package org.parallelcomp.engine;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.parallelcomp.api.policy.Plan;
import org.parallelcomp.api.policy.PolicyKind;
import org.parallelcomp.api.policy.PolicySpec;
import org.parallelcomp.engine.PassTrace.LayerTrace;

/** What a trace tells is what the run itself reports, whichever way the plan goes. */
class TraceTest {
  private static final String TEXT =
      "The grass is green, the sky is blue, the sun is yellow. ".repeat(30)
          + "The number for Lisbon is 8412067. "
          + "Here we go, there and back again. ".repeat(30);

  private static Engine engine;

  @BeforeAll
  static void open() {
    engine =
        Engine.open(
            EngineConfig.of(Path.of("src/test/resources/needle-6m/needle-6m-f16.gguf"))
                .withBackend("cpu-vector"));
  }

  @AfterAll
  static void close() {
    engine.close();
  }

  private static GenerationResult run(Plan plan, boolean traced) {
    return engine.generate(
        GenerationRequest.ask(TEXT, "What is the number for Lisbon?")
            .withPlan(plan)
            .withMaxTokens(8)
            .withTraced(traced),
        TokenSink.NONE);
  }

  private static Plan small(String... policies) {
    Plan plan =
        engine
            .plan("parallelcomp")
            .with(PolicyKind.CHUNKING, "tokens", 200)
            .with(PolicyKind.CHUNK_EVICTION, "chunks", 2)
            .with(PolicyKind.BUDGET, PolicySpec.parse("tokens(keep=60)"));
    for (String policy : policies) {
      String[] parts = policy.split("=", 2);
      plan =
          plan.with(
              Arrays.stream(PolicyKind.values())
                  .filter(kind -> kind.label().equals(parts[0]))
                  .findFirst()
                  .orElseThrow(),
              PolicySpec.parse(parts[1]));
    }
    return plan;
  }

  private static Trace trace(GenerationResult result) {
    Trace trace = result.trace();
    assertNotNull(trace);
    return trace;
  }

  @Test
  void thereIsNoneUnlessItIsAskedFor() {
    assertNull(run(small(), false).trace());
    assertNull(
        engine
            .generate(
                GenerationRequest.prompt("The grass").withMaxTokens(2).withTraced(true),
                TokenSink.NONE)
            .trace(),
        "a prompt without text has none");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "parallelcomp",
        "parallelcomp-calibrated",
        "parallelcomp-reread",
        "full",
        "snapkv",
        "adakv",
        "streaming-llm"
      })
  void observingChangesNothing(String preset) {
    GenerationResult plain = run(engine.plan(preset), false);
    GenerationResult traced = run(engine.plan(preset), true);

    assertEquals(plain.tokenIds(), traced.tokenIds());
    assertEquals(plain.citations(), traced.citations());
    assertEquals(plain.cache(), traced.cache());
    assertEquals(plain.figures().prefilledTokens(), traced.figures().prefilledTokens());
  }

  /** Heads keep different numbers here, so that every place must be found by its own head. */
  @Test
  void aTraceHoldsWhatTheResultSays() {
    GenerationResult result = run(small("selector=ada-kv(floor=0.2)"), true);
    Trace trace = trace(result);
    PassTrace answer = trace.answerPass();

    assertEquals(result.figures().chunks(), trace.chunks().size());
    assertEquals(
        result.citations().stream().map(Citation::chunk).toList(),
        trace.chunks().stream()
            .filter(Trace.ChunkTrace::kept)
            .map(Trace.ChunkTrace::chunk)
            .toList());
    assertEquals(result.citations().size(), trace.chunkPasses().size());
    for (int i = 0; i < result.citations().size(); i++) {
      Citation citation = result.citations().get(i);
      PassTrace pass = trace.chunkPasses().get(i);
      Trace.ChunkTrace chunk = trace.chunks().get(citation.chunk());
      assertEquals(citation.selfInformation(), chunk.selfInformation());
      assertEquals(-citation.selfInformation(), chunk.score(), 1e-6);
      assertEquals(citation.fromChar(), trace.fromChar()[pass.textTokens()[0]]);
      assertEquals(citation.toChar(), trace.toChar()[pass.textTokens()[citation.tokens() - 1]]);
      for (int layer = 0; layer < pass.layers().size(); layer++) {
        assertEquals(
            citation.keptTokensPerLayer().get(layer),
            pass.layers().get(layer).kept().stream()
                .mapToInt(BitSet::cardinality)
                .average()
                .orElseThrow());
      }
    }
    boolean ragged = false;
    for (int layer = 0; layer < answer.layers().size(); layer++) {
      List<Integer> held = result.cache().layers().get(layer).keptTokens();
      LayerTrace traced = answer.layers().get(layer);
      for (int head = 0; head < held.size(); head++) {
        assertEquals(held.get(head), answer.prefixTokens() + traced.kept().get(head).cardinality());
        for (int t = 0; t < answer.contextTokens(); t++) {
          float given = traced.attention()[head][answer.prefixTokens() + t];
          assertTrue(given >= 0 && (given == 0 || traced.kept().get(head).get(t)));
        }
        ragged |= !held.get(head).equals(held.getFirst());
      }
    }
    assertTrue(ragged);
    trace.chunkPasses().forEach(TraceTest::assertProbabilities);
    assertProbabilities(answer);
  }

  private static void assertProbabilities(PassTrace pass) {
    for (LayerTrace layer : pass.layers()) {
      assertTrue(layer.observed());
      for (float[] head : layer.attention()) {
        assertEquals(pass.prefixTokens() + pass.contextTokens() + pass.queryTokens(), head.length);
        double sum = IntStream.range(0, head.length).mapToDouble(i -> head[i]).sum();
        assertEquals(1, sum, 1e-4);
      }
    }
  }

  /** One chunk, all of it kept: its own pass, the question's behind it and the plain one agree. */
  @Test
  void allWaysSeeTheSameAttentionWhereNothingIsCut() {
    Plan whole =
        engine
            .plan("full")
            .with(PolicyKind.CHUNK_SCORER, PolicySpec.parse("self-information"))
            .with(PolicyKind.CHUNK_EVICTION, PolicySpec.parse("best(chunks=1)"));
    Trace onItsOwn = trace(run(whole, true));
    PassTrace plain = trace(run(engine.plan("full"), true)).answerPass();
    PassTrace chunk = onItsOwn.chunkPasses().getFirst();

    assertArrayEquals(plain.textTokens(), chunk.textTokens());
    for (int layer = 0; layer < plain.layers().size(); layer++) {
      for (int head = 0; head < plain.layers().get(layer).attention().length; head++) {
        float[] expected = plain.layers().get(layer).attention()[head];
        assertArrayEquals(
            expected, onItsOwn.answerPass().layers().get(layer).attention()[head], 1e-5f);
        // Of the question only the last token passes the last layer.
        if (plain.layers().get(layer).windowTokens() == 8) {
          assertArrayEquals(expected, chunk.layers().get(layer).attention()[head], 1e-5f);
        }
      }
    }
    assertEquals(1, plain.layers().getLast().windowTokens());
  }

  @Test
  void calibrationLeavesAPartOfWhatTheBudgetLeft() {
    Trace trace =
        trace(
            run(
                small(
                    "calibration=attention-threshold(ranges=0%-100%:middle:0.01,"
                        + " equalise=false, zone=20)"),
                true));
    int budget = 0;
    int kept = 0;
    for (PassTrace pass : trace.chunkPasses()) {
      for (LayerTrace layer : pass.layers()) {
        for (int head = 0; head < layer.kept().size(); head++) {
          var beyond = (BitSet) layer.kept().get(head).clone();
          beyond.andNot(layer.keptByBudget().get(head));
          assertTrue(beyond.isEmpty());
          assertEquals(60, layer.keptByBudget().get(head).cardinality());
          budget += 60;
          kept += layer.kept().get(head).cardinality();
        }
      }
    }
    assertTrue(kept < budget, kept + " of " + budget);
  }

  @Test
  void aMergedContextIsObservedBeforeItIsCut() {
    GenerationResult result = run(small("schedule=merged"), true);
    Trace trace = trace(result);
    PassTrace answer = trace.answerPass();
    double keptOfAll = 0;

    for (LayerTrace layer : answer.layers()) {
      for (int head = 0; head < layer.kept().size(); head++) {
        float[] attention = layer.attention()[head];
        long seen =
            IntStream.range(0, answer.contextTokens())
                .filter(t -> attention[answer.prefixTokens() + t] > 0)
                .count();
        assertTrue(seen > 60, "keys that go are seen too");
        assertEquals(60, layer.kept().get(head).cardinality());
      }
    }
    for (Citation citation : result.citations()) {
      Trace.ChunkTrace chunk = trace.chunks().get(citation.chunk());
      long kept =
          answer.layers().getFirst().kept().stream()
              .flatMapToInt(BitSet::stream)
              .map(t -> answer.textTokens()[t])
              .filter(t -> t >= chunk.fromToken() && t < chunk.toToken())
              .count();
      double heads = answer.layers().getFirst().kept().size();
      assertEquals(citation.keptTokensPerLayer().getFirst(), kept / heads);
      keptOfAll += kept / heads;
    }
    assertEquals(60, keptOfAll);
  }

  @Test
  void whatIsReadOnceMoreIsOneText() {
    GenerationResult result = run(engine.plan("parallelcomp-reread"), true);
    Trace trace = trace(result);

    assertEquals(List.of(), trace.chunkPasses());
    assertEquals(
        result.citations().stream().mapToInt(Citation::tokens).sum(),
        trace.answerPass().contextTokens());
    trace
        .answerPass()
        .layers()
        .forEach(
            layer ->
                layer
                    .kept()
                    .forEach(
                        head ->
                            assertEquals(trace.answerPass().contextTokens(), head.cardinality())));
    assertProbabilities(trace.answerPass());
  }

  /** Sinks and the most recent tokens: which they are can be said without the program. */
  @Test
  void aRollingCacheHoldsItsSinksAndTheNewestTokens() {
    Plan plan =
        engine
            .plan("streaming-llm")
            .with(PolicyKind.CHUNKING, "tokens", 64)
            .with(PolicyKind.BUDGET, PolicySpec.parse("tokens(keep=100)"));
    Trace trace = trace(run(plan, true));
    PassTrace answer = trace.answerPass();
    int text = trace.fromChar().length;
    int prefix = answer.contextTokens() - text;

    assertEquals(0, answer.prefixTokens());
    assertTrue(prefix > 0);
    assertEquals(-1, answer.textTokens()[prefix - 1]);
    assertEquals(0, answer.textTokens()[prefix]);
    var expected = new BitSet();
    expected.set(0, 4);
    expected.set(prefix + text - 96, prefix + text);
    for (LayerTrace layer : answer.layers()) {
      layer.kept().forEach(head -> assertEquals(expected, head));
    }
    assertProbabilities(answer);
    assertFalse(trace.chunks().getFirst().kept() && prefix >= 4);
    assertTrue(trace.chunks().getLast().kept());
  }
}
