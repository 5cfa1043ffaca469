package org.parallelcomp.engine.generate;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.parallelcomp.api.backend.MemoryScope;
import org.parallelcomp.api.cache.KvLayer;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.policy.Plan;
import org.parallelcomp.api.policy.PolicyKind;
import org.parallelcomp.api.policy.PolicySpec;
import org.parallelcomp.api.tensor.Tensor;
import org.parallelcomp.engine.model.SequenceInput;
import org.parallelcomp.engine.text.PromptParts;

/** When tokens are evicted: what stays, what is freed, and where it stands, on needle-6m. */
class ScheduleTest {
  private static TestModel model;
  private static PromptParts prompt;
  private static int[] textIds;

  @BeforeAll
  static void open() {
    model = TestModel.needle();
    prompt = model.prompt("What is the number for Lisbon?");
    textIds =
        model.ids("The grass is green, the sky is blue. The number for Lisbon is 42. ".repeat(12));
  }

  @AfterAll
  static void close() {
    model.close();
  }

  private static Plan plan(String budget, String schedule) {
    return model
        .catalog
        .preset("parallelcomp")
        .plan()
        .with(PolicyKind.CHUNKING, "tokens", 80)
        .with(PolicyKind.CHUNK_EVICTION, "chunks", 2)
        .with(PolicyKind.BUDGET, PolicySpec.parse(budget))
        .with(PolicyKind.SCHEDULE, PolicySpec.parse(schedule));
  }

  /** A prefilled request with its caches, to look at. */
  private record Prefilled(ContextRequest request, Context context, AnswerCaches caches) {
    float[] logits(Tensor hidden) {
      return model.backend.host().copyToHostFloats(model.decoder.logits(hidden));
    }

    Tensor pending() {
      return caches.runPending(BlockPrefill.Listener.NONE);
    }

    /** Runs a token of the answer. */
    Tensor token(int id) {
      var input = new SequenceInput(new int[] {id}, caches.nextPosition(), 1, caches);
      Tensor hidden = model.decoder.forward(List.of(input)).getFirst();
      caches.afterToken();
      return hidden;
    }
  }

  private static Prefilled prefill(MemoryScope scope, Plan plan, int answerTokens) {
    ContextRequest request = model.request(scope, plan, prompt, textIds, answerTokens);
    Context context = ParallelContext.build(request, request.chunks());
    return new Prefilled(request, context, new AnswerCaches(request, context));
  }

  private static int layers() {
    return model.source.config().layers();
  }

  private static int kvHeads() {
    return model.source.config().kvHeads();
  }

  @Test
  void mergedKeepsItsBudgetOverAllChunksAndFreesTheRest() {
    try (MemoryScope scope = model.scope.child("run")) {
      Prefilled run = prefill(scope, plan("tokens(keep=50)", "merged"), 8);
      int uncut = run.context.contextTokens();
      assertEquals(2, run.context.keptChunks().size());
      long before = scope.allocatedBytes();
      run.pending();
      int prefix = prompt.prefix().length;
      int query = prompt.query().length;
      long slotBytes = 4L * (2L * model.source.config().headDim() + 1);
      long freed = slotBytes * layers() * kvHeads() * (uncut - 50);
      assertEquals(before - freed, scope.allocatedBytes(), "slots are really freed");
      for (KvLayer layer : run.caches.layers()) {
        for (int head = 0; head < kvHeads(); head++) {
          assertEquals(prefix + 50 + query, layer.tokens(head));
          assertEquals(prefix + 50 + query + 8, layer.capacity(head));
        }
      }
      for (int layer = 0; layer < layers(); layer++) {
        double kept = 0;
        for (Context.KeptChunk chunk : run.caches.keptChunks()) {
          kept += chunk.keptTokensPerLayer().get(layer);
        }
        assertEquals(50, kept, 1e-9, "the chunks share the budget");
      }
    }
  }

  @Test
  void mergedWithABudgetOfEverythingChangesNothing() {
    float[] plain;
    try (MemoryScope scope = model.scope.child("run")) {
      Prefilled run = prefill(scope, plan("everything", "per-chunk"), 8);
      plain = run.logits(run.pending());
    }
    try (MemoryScope scope = model.scope.child("run")) {
      Prefilled run = prefill(scope, plan("fraction(keep=1.0)", "merged"), 8);
      assertArrayEquals(plain, run.logits(run.pending()));
    }
  }

  @Test
  void mergedSeesTheContextUncutAndTheAnswerSeesItCut() {
    float[] uncutLogits;
    try (MemoryScope scope = model.scope.child("run")) {
      Prefilled run = prefill(scope, plan("everything", "per-chunk"), 8);
      uncutLogits = run.logits(run.pending());
    }
    try (MemoryScope scope = model.scope.child("run")) {
      Prefilled run = prefill(scope, plan("tokens(keep=10)", "merged"), 8);
      // The question itself still attends to everything: a layer is cut behind its attention.
      assertArrayEquals(uncutLogits, run.logits(run.pending()), 1e-4f);
    }
  }

  @Test
  void oneTextIsCutOnceItHasBeenRead() {
    Plan whole =
        model
            .catalog
            .preset("snapkv")
            .plan()
            .with(PolicyKind.BUDGET, PolicySpec.parse("tokens(keep=30)"))
            .with(PolicyKind.SCHEDULE, PolicySpec.parse("merged"));
    try (MemoryScope scope = model.scope.child("run")) {
      Prefilled run = prefill(scope, whole, 4);
      assertTrue(run.context.readsContextNow());
      run.pending();
      int expected = prompt.prefix().length + 30 + prompt.query().length;
      run.caches.layers().forEach(layer -> assertEquals(expected, layer.maxTokens()));
    }
  }

  @Test
  void rerotatedKeysStandDirectlyBehindThePrefix() {
    for (String schedule : List.of("per-chunk(rerotate=true)", "merged(rerotate=true)")) {
      try (MemoryScope scope = model.scope.child("run")) {
        Prefilled run = prefill(scope, plan("tokens(keep=20)", schedule), 8);
        run.pending();
        boolean merged = schedule.startsWith("merged");
        int prefix = prompt.prefix().length;
        int kept = merged ? 20 : 40;
        for (KvLayer layer : run.caches.layers()) {
          int[] positions =
              model.backend.host().copyToHostInts(layer.positions().slice(0, 0, layer.tokens(0)));
          int[] expected =
              merged
                  ? IntStream.range(0, layer.tokens(0)).toArray()
                  : IntStream.concat(
                          IntStream.range(0, prefix),
                          IntStream.concat(
                              IntStream.concat(
                                  IntStream.range(prefix, prefix + 20),
                                  IntStream.range(prefix, prefix + 20)),
                              IntStream.range(prefix + 20, prefix + 20 + prompt.query().length)))
                      .toArray();
          assertEquals(prefix + kept + prompt.query().length, layer.tokens(0));
          assertArrayEquals(expected, positions, schedule);
        }
        assertEquals(
            prefix + 20 + prompt.query().length, run.caches.nextPosition(), "behind the kept keys");
      }
    }
  }

  @Test
  void decodingKeepsItsTokenLimitAndTheNewestTokens() {
    assertDecoding("while-decoding(every=4, tokens=60, prefill=never)", 60);
  }

  @Test
  void decodingKeepsItsByteLimit() {
    long tokenBytes = 8L * model.source.config().headDim();
    long bytes = 70 * tokenBytes * layers() * kvHeads() + tokenBytes;
    assertDecoding("while-decoding(every=4, tokens=0, bytes=" + bytes + ", prefill=never)", 70);
  }

  private static void assertDecoding(String schedule, int limit) {
    try (MemoryScope scope = model.scope.child("run")) {
      Prefilled run = prefill(scope, plan("everything", schedule), 40);
      run.pending();
      int uncut = run.caches.layers().getFirst().maxTokens();
      assertTrue(uncut > limit, uncut + " tokens must exceed the limit");
      long peak = 0;
      for (int i = 1; i <= 17; i++) {
        int position = run.caches.nextPosition();
        run.token(100 + i);
        assertEquals(position + 1, run.caches.nextPosition());
        for (KvLayer layer : run.caches.layers()) {
          int newest = layer.tokens(0) - 1;
          int[] last =
              model.backend.host().copyToHostInts(layer.positions().slice(0, newest, newest + 1));
          assertEquals(position, last[0], "the newest token stays");
          if (i >= 4) {
            assertEquals(limit + i % 4, layer.tokens(0), "after " + i + " tokens");
          }
        }
        if (i == 4) {
          peak = scope.allocatedBytes();
        }
        if (i > 4) {
          assertTrue(scope.allocatedBytes() <= peak + 4096 * 40, "memory stays bounded");
        }
      }
      assertEquals(4, run.caches.cuts());
      int[] positions =
          model
              .backend
              .host()
              .copyToHostInts(
                  run.caches.layers().getFirst().positions().slice(0, 0, prompt.prefix().length));
      assertArrayEquals(
          IntStream.range(0, prompt.prefix().length).toArray(), positions, "the prefix stays");
    }
  }

  @Test
  void raggedCachesAreCutHeadByHeadInProportion() {
    Plan ragged =
        plan("everything", "while-decoding(every=3, tokens=60, prefill=per-chunk)")
            .with(
                PolicyKind.CALIBRATION,
                PolicySpec.parse(
                    "attention-threshold(ranges=0%-100%:middle:0.001;0%-100%:sink:0.001,"
                        + " equalise=false)"));
    try (MemoryScope scope = model.scope.child("run")) {
      Prefilled run = prefill(scope, ragged, 40);
      run.pending();
      boolean isRagged =
          run.caches.layers().stream()
              .anyMatch(layer -> Arrays.stream(layer.tokens()).distinct().count() > 1);
      assertTrue(isRagged, "calibration must make the heads differ");
      int[][] before = run.caches.layers().stream().map(KvLayer::tokens).toArray(int[][]::new);
      for (int i = 0; i < 3; i++) {
        run.token(100 + i);
      }
      for (int l = 0; l < layers(); l++) {
        int[] after = run.caches.layers().get(l).tokens();
        long held = Arrays.stream(before[l]).asLongStream().sum() + 3L * kvHeads();
        long expected = Math.min(held, 60L * kvHeads());
        assertEquals(expected, Arrays.stream(after).asLongStream().sum(), "layer " + l);
        if (expected < held) {
          for (int h = 0; h < after.length; h++) {
            assertTrue(after[h] <= before[l][h] + 3);
            assertEquals(
                after[h] + 3,
                run.caches.layers().get(l).capacity(h),
                "each head owns no more than it needs until the next look");
          }
        }
      }
      run.token(7);
    }
  }

  @Test
  void aDecodingLimitOfEverythingChangesNothing() {
    float[][] logits = new float[2][];
    for (int i = 0; i < 2; i++) {
      String schedule = i == 0 ? "per-chunk" : "while-decoding(every=2, tokens=100000)";
      try (MemoryScope scope = model.scope.child("run")) {
        Prefilled run = prefill(scope, plan("tokens(keep=40)", schedule), 12);
        run.pending();
        for (int t = 0; t < 10; t++) {
          logits[i] = run.logits(run.token(50 + t));
        }
      }
    }
    assertArrayEquals(logits[0], logits[1]);
  }

  @Test
  void rerotatedDecodingNeverLeavesTheWindow() {
    try (MemoryScope scope = model.scope.child("run")) {
      Prefilled run =
          prefill(
              scope,
              plan(
                  "everything", "while-decoding(every=2, tokens=50, prefill=never, rerotate=true)"),
              30);
      run.pending();
      for (int i = 0; i < 20; i++) {
        run.token(60 + i);
      }
      assertTrue(run.caches.nextPosition() <= 52, "position " + run.caches.nextPosition());
    }
  }

  @Test
  void limitsThatCannotBeKeptAreRefused() {
    for (String schedule :
        List.of("while-decoding(tokens=5)", "while-decoding(tokens=0, bytes=10)")) {
      try (MemoryScope scope = model.scope.child("run")) {
        var refused =
            assertThrows(
                InferenceException.class, () -> prefill(scope, plan("everything", schedule), 8));
        assertEquals(ErrorCode.INVALID_ARGUMENT, refused.code());
        assertTrue(refused.getMessage().contains("at the least"), refused.getMessage());
      }
    }
  }

  @Test
  void sharesAreExact() {
    KvLayer layer =
        model
            .backend
            .cache()
            .allocate(
                model.scope, org.parallelcomp.api.tensor.DType.F32, new int[] {30, 30, 30}, 8);
    layer.setTokens(0, 7);
    layer.setTokens(1, 21);
    layer.setTokens(2, 12);
    assertArrayEquals(new int[] {1, 5, 3}, AnswerCaches.shares(layer, 9, 2));
    assertArrayEquals(new int[] {0, 1, 0}, AnswerCaches.shares(layer, 1, 2));
    assertArrayEquals(new int[] {5, 19, 10}, AnswerCaches.shares(layer, 34, 2));
  }
}
