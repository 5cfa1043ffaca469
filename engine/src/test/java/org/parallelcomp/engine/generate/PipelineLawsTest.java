package org.parallelcomp.engine.generate;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;
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
import org.parallelcomp.engine.Cancellation;
import org.parallelcomp.engine.PromptForm;
import org.parallelcomp.engine.model.LayerCaches;
import org.parallelcomp.engine.model.SequenceInput;
import org.parallelcomp.engine.text.PromptParts;

/** What must hold for any model, shown on needle-6m. */
class PipelineLawsTest {
  private static final String QUESTION = "What is the special magic number for Lisbon?";

  private static TestModel model;
  private static int[] textIds;
  private static PromptParts prompt;

  @BeforeAll
  static void open() throws Exception {
    model = TestModel.needle();
    textIds = model.goldenText();
    prompt = model.prompts.build(new PromptForm("", "\n{question}", ""), QUESTION);
  }

  @AfterAll
  static void close() {
    model.close();
  }

  private static Plan plan() {
    return model
        .catalog
        .preset("parallelcomp")
        .plan()
        .with(PolicyKind.CHUNKING, "tokens", 256)
        .with(PolicyKind.CHUNK_EVICTION, "chunks", 3);
  }

  private static float[] logits(Plan plan) {
    try (MemoryScope scope = model.scope.child("run")) {
      ContextRequest request = model.request(scope, plan, prompt, textIds, 8);
      return model.step(request, ParallelContext.build(request, request.chunks()));
    }
  }

  @Test
  void prefillInBlocksEqualsPrefillAtOnce() {
    int[] ids = Arrays.copyOf(textIds, 1000);
    float[] atOnce = model.continuation(ids, 0).logits();
    for (int block : new int[] {1, 7, 333, 999}) {
      try (MemoryScope scope = model.scope.child("blocks")) {
        var layers = model.decoder.allocateLayers(scope, ids.length);
        Tensor hidden = null;
        for (int from = block == 1 ? 990 : 0; from < ids.length; from += block) {
          if (block == 1 && from == 990) {
            forward(Arrays.copyOf(ids, 990), 0, layers);
          }
          int to = Math.min(ids.length, from + block);
          hidden = forward(Arrays.copyOfRange(ids, from, to), from, layers);
        }
        float[] inBlocks = model.backend.host().copyToHostFloats(model.decoder.logits(hidden));
        assertArrayEquals(atOnce, inBlocks, 2e-4f, "blocks of " + block);
      }
    }
  }

  private static Tensor forward(int[] ids, int position, List<KvLayer> layers) {
    return model
        .decoder
        .forward(List.of(new SequenceInput(ids, position, 1, LayerCaches.growing(layers))))
        .getFirst();
  }

  @Test
  void aBudgetOfEverythingIsTheIdentityBitForBit() {
    Plan everything = plan().with(PolicyKind.BUDGET, PolicySpec.of("everything"));
    float[] uncut = logits(everything);
    assertArrayEquals(
        uncut, logits(plan().with(PolicyKind.BUDGET, PolicySpec.parse("tokens(keep=100000)"))));
    assertArrayEquals(
        uncut, logits(plan().with(PolicyKind.BUDGET, PolicySpec.parse("fraction(keep=1.0)"))));
    float[] cut = logits(plan().with(PolicyKind.BUDGET, PolicySpec.parse("tokens(keep=64)")));
    assertTrue(!Arrays.equals(uncut, cut), "a budget of 64 tokens must change something");
  }

  @Test
  void oneChunkSideBySideEqualsPlainAttention() {
    int[] shortText = Arrays.copyOf(textIds, 500);
    Plan oneChunk =
        plan()
            .with(PolicyKind.CHUNKING, "tokens", 512)
            .with(PolicyKind.BUDGET, PolicySpec.of("everything"));
    try (MemoryScope scope = model.scope.child("run")) {
      ContextRequest request = model.request(scope, oneChunk, prompt, shortText, 8);
      Context merged = ParallelContext.build(request, request.chunks());
      Context plain = PlainContext.of(request, shortText, List.of(), List.of());
      assertArrayEquals(model.step(request, plain), model.step(request, merged), 2e-4f);
    }
  }

  @Test
  void atMostTheKeptChunksAndOneGroupMoreAreAlive() {
    Plan uncut = plan().with(PolicyKind.BUDGET, PolicySpec.of("everything"));
    var most = new AtomicLong();
    try (MemoryScope scope = model.scope.child("run")) {
      ContextRequest request = model.request(scope, uncut, prompt, textIds, 8);
      var listening =
          new ContextRequest(
              List.of(new Session(request.backend(), scope, request.decoder())),
              request.policies(),
              request.weightBytes(),
              prompt,
              textIds,
              request.sentenceEnds(),
              request.paragraphEnds(),
              8,
              new Cancellation(),
              (done, total, tokens) -> most.accumulateAndGet(scope.allocatedBytes(), Math::max),
              Tracer.OFF);
      var chunks = listening.chunks();
      ParallelContext.build(listening, chunks);
      int longest = chunks.stream().mapToInt(chunk -> chunk.tokens()).max().orElseThrow();
      int promptTokens = prompt.prefix().length + prompt.query().length;
      long positions = model.source.config().layers() * (long) model.source.config().kvHeads();
      int group =
          ChunkGroups.of(chunks, prompt.query().length, model.decoder.blockTokens()).stream()
              .mapToInt(List::size)
              .max()
              .orElseThrow();
      long allowed =
          request.cacheBytes((3L + group) * longest + prompt.prefix().length)
              + group * request.cacheBytes(promptTokens + longest) / model.source.config().layers()
              + 4 * positions * ((4L + group) * longest + 2L * group * promptTokens);
      assertTrue(group > 1, "the chunks must be so short that several pass together");
      assertTrue(chunks.size() > 4 + group, "the text must have many more chunks than are kept");
      assertTrue(most.get() <= allowed, most.get() + " bytes alive, allowed " + allowed);
    }
  }

  @Test
  void aCancelledRequestFreesItsMemory() {
    long before = heldByTheDecoder();
    var cancellation = new Cancellation();
    try (MemoryScope scope = model.scope.child("run")) {
      ContextRequest request = model.request(scope, plan(), prompt, textIds, 8);
      var cancelled =
          new ContextRequest(
              List.of(new Session(request.backend(), scope, request.decoder())),
              request.policies(),
              request.weightBytes(),
              prompt,
              textIds,
              request.sentenceEnds(),
              request.paragraphEnds(),
              8,
              cancellation,
              (done, total, tokens) -> {
                if (done >= 2) {
                  cancellation.cancel();
                }
              },
              Tracer.OFF);
      assertThrows(
          RequestCancelled.class, () -> ParallelContext.build(cancelled, cancelled.chunks()));
    }
    assertEquals(before, heldByTheDecoder());
  }

  /**
   * Returns what is allocated when the decoder's buffers have grown and its last pass was short.
   */
  private static long heldByTheDecoder() {
    logits(plan());
    return model.scope.allocatedBytes();
  }

  @Test
  void rereadRefusesMoreThanTheWindowHolds() {
    Plan tooMuch =
        model
            .catalog
            .preset("parallelcomp-reread")
            .plan()
            .with(PolicyKind.CHUNKING, "tokens", 512)
            .with(PolicyKind.CHUNK_EVICTION, "chunks", 8);
    int[] longText = Arrays.copyOf(textIds, textIds.length);
    int[] twice = ChunkPrefill.concat(longText, longText, longText);
    try (MemoryScope scope = model.scope.child("run")) {
      ContextRequest request = model.request(scope, tooMuch, prompt, twice, 8);
      var failure =
          assertThrows(
              InferenceException.class, () -> ParallelContext.build(request, request.chunks()));
      assertEquals(ErrorCode.INVALID_ARGUMENT, failure.code());
      assertTrue(failure.getMessage().contains("keep fewer chunks"), failure.getMessage());
    }
  }

  @Test
  void rereadReadsWhatOverlappingChunksShareOnce() {
    Plan overlapping =
        model
            .catalog
            .preset("parallelcomp-reread")
            .plan()
            .with(PolicyKind.CHUNKING, PolicySpec.parse("overlapping(tokens=200, overlap=70)"))
            .with(PolicyKind.CHUNK_EVICTION, PolicySpec.of("all"));
    int[] ids = Arrays.copyOf(textIds, 500);
    try (MemoryScope scope = model.scope.child("run")) {
      ContextRequest request = model.request(scope, overlapping, prompt, ids, 8);
      Context context = ParallelContext.build(request, request.chunks());
      assertEquals(4, context.keptChunks().size());
      assertEquals(500, context.contextTokens());
      assertEquals(List.of(200, 330, 460, 500), context.chunkEnds());
      int from = prompt.prefix().length;
      assertArrayEquals(ids, Arrays.copyOfRange(context.pendingIds(), from, from + 500));
    }
  }

  @Test
  void aThresholdThatNoChunkReachesAnswersNothing() {
    Plan contrastive =
        plan()
            .with(PolicyKind.CHUNK_SCORER, PolicySpec.of("contrastive"))
            .with(PolicyKind.CHUNK_EVICTION, PolicySpec.parse("threshold(least=1000)"));
    try (MemoryScope scope = model.scope.child("run")) {
      ContextRequest request = model.request(scope, contrastive, prompt, textIds, 8);
      var none =
          assertThrows(NoChunkKept.class, () -> ParallelContext.build(request, request.chunks()));
      assertTrue(none.bestScore() < 1000, "best " + none.bestScore());
      assertTrue(none.bestScore() > 0, "the right chunk explains something");
      assertEquals(0, scope.allocatedBytes(), "nothing is left of the chunks");
    }
    Plan low = contrastive.with(PolicyKind.CHUNK_EVICTION, "least", -1000);
    try (MemoryScope scope = model.scope.child("run")) {
      ContextRequest request = model.request(scope, low, prompt, textIds, 8);
      assertEquals(4, ParallelContext.build(request, request.chunks()).keptChunks().size());
    }
  }
}
