package org.parallelcomp.engine.generate;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.parallelcomp.api.backend.BackendTraits;
import org.parallelcomp.api.backend.MemoryScope;
import org.parallelcomp.api.cache.KvLayer;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.policy.Chunk;
import org.parallelcomp.api.policy.Plan;
import org.parallelcomp.api.policy.PolicyKind;
import org.parallelcomp.api.policy.PolicySpec;
import org.parallelcomp.engine.Cancellation;
import org.parallelcomp.engine.PromptForm;
import org.parallelcomp.engine.text.PromptParts;

/** Chunks that pass together are what they are alone. */
class ChunkGroupsTest {
  private static final String QUESTION =
      "What is the special magic number for Lisbon that the text mentions somewhere, and which"
          + " numbers are there for the other cities of which it speaks?";
  private static final int CHUNKS = 12;

  /**
   * The CPU backend chooses its products by the number of rows. These chunks alone have as many as
   * its fused blocks want, and the question more than its products for few rows take, so that bits
   * can be compared.
   */
  private static final int CHUNK_TOKENS = 290;

  private static final int MOST_FEW_ROWS = 24;

  private static TestModel model;
  private static int[] textIds;
  private static PromptParts prompt;

  @BeforeAll
  static void open() throws Exception {
    model = TestModel.needle();
    int[] ids = model.goldenText();
    textIds = new int[CHUNKS * CHUNK_TOKENS];
    Arrays.setAll(textIds, i -> ids[i % ids.length]);
    prompt = model.prompts.build(new PromptForm("Read this: ", "\n{question}", ""), QUESTION);
    assertTrue(prompt.questionTo() - prompt.questionFrom() > MOST_FEW_ROWS);
  }

  @AfterAll
  static void close() {
    model.close();
  }

  @BeforeEach
  void plainly() {
    model.guise.blockTokens = BackendTraits.DEFAULT.blockTokens();
    model.guise.freeBytes = Long.MAX_VALUE;
    model.guise.cutsUntilFull = Integer.MAX_VALUE;
  }

  // ---- which chunks go together ----

  private static List<Chunk> chunks(int... tokens) {
    var chunks = new ArrayList<Chunk>();
    int at = 0;
    for (int count : tokens) {
      chunks.add(new Chunk(chunks.size(), at, at + count));
      at += count;
    }
    return chunks;
  }

  private static List<Integer> sizes(int count, int chunkTokens, int queryTokens, int block) {
    int[] tokens = new int[count];
    Arrays.fill(tokens, chunkTokens);
    return ChunkGroups.of(chunks(tokens), queryTokens, block).stream().map(List::size).toList();
  }

  @Test
  void groupsFillBlocksAndAreAsManyAsFourDevicesShare() {
    assertEquals(List.of(1, 1, 1), sizes(3, 512, 20, 8192));
    assertEquals(List.of(2, 2, 2, 2), sizes(8, 512, 20, 8192));
    assertEquals(List.of(1, 1, 1, 1, 1), sizes(5, 8192, 20, 8192));
    assertEquals(List.of(1, 1, 1, 1, 1), sizes(5, 9000, 20, 8192));
    List<Integer> many = sizes(256, 512, 20, 8192);
    assertEquals(20, many.size());
    assertTrue(many.stream().allMatch(size -> size == 12 || size == 13), many.toString());
  }

  @Test
  void groupsAreTheChunksInOrderAndFitIntoABlock() {
    long seed = 20260;
    var random = new Random(seed);
    for (int round = 0; round < 500; round++) {
      int[] tokens = random.ints(1 + random.nextInt(60), 1, 200).toArray();
      int query = random.nextInt(30);
      int block = 1 + random.nextInt(2000);
      List<Chunk> chunks = chunks(tokens);
      List<List<Chunk>> groups = ChunkGroups.of(chunks, query, block);
      String what = "seed " + seed + " round " + round;
      assertEquals(chunks, groups.stream().flatMap(List::stream).toList(), what);
      for (List<Chunk> group : groups) {
        int together = group.stream().mapToInt(chunk -> chunk.tokens() + query).sum();
        assertTrue(group.size() == 1 || together <= block, what);
      }
      int least = groups.stream().mapToInt(List::size).min().orElseThrow();
      int most = groups.stream().mapToInt(List::size).max().orElseThrow();
      assertTrue(least > 0 && most - least <= 1, what);
    }
  }

  // ---- what becomes of them ----

  private static Plan plan(String changes) {
    Plan plan =
        model
            .catalog
            .preset("parallelcomp")
            .plan()
            .with(
                PolicyKind.CHUNKING,
                PolicySpec.of("even").with("tokens", CHUNK_TOKENS).with("slack", 0))
            .with(PolicyKind.CHUNK_EVICTION, "chunks", 5)
            .with(PolicyKind.BUDGET, PolicySpec.parse("tokens(keep=40)"));
    for (String change : changes.isEmpty() ? new String[0] : changes.split("; ")) {
      String[] parts = change.split("=", 2);
      PolicyKind kind =
          Arrays.stream(PolicyKind.values())
              .filter(k -> k.label().equals(parts[0]))
              .findFirst()
              .orElseThrow();
      plan = plan.with(kind, PolicySpec.parse(parts[1]));
    }
    return plan;
  }

  private static ContextRequest request(
      MemoryScope scope,
      Plan plan,
      Cancellation cancellation,
      ContextRequest.ProgressListener progress) {
    ContextRequest plain = model.request(scope, plan, prompt, textIds, 8);
    return new ContextRequest(
        plain.sessions(),
        plain.policies(),
        plain.weightBytes(),
        prompt,
        textIds,
        plain.sentenceEnds(),
        plain.paragraphEnds(),
        8,
        cancellation,
        progress,
        Tracer.OFF);
  }

  /** What is left of the chunks: numbers that are compared bit by bit. */
  private record Left(List<Context.KeptChunk> chunks, List<float[]> floats, List<int[]> whole) {}

  private static Left left(Plan plan, int blockTokens) {
    model.guise.blockTokens = blockTokens;
    try (MemoryScope scope = model.scope.child("run")) {
      ContextRequest request =
          request(scope, plan, new Cancellation(), (done, total, tokens) -> {});
      Context context = ParallelContext.build(request, request.chunks());
      var floats = new ArrayList<float[]>();
      var whole = new ArrayList<int[]>();
      for (OwnedLayer owned : context.layers()) {
        KvLayer layer = owned.layer();
        whole.add(layer.tokens());
        for (int head = 0; head < layer.kvHeads(); head++) {
          int from = layer.firstSlot(head);
          int to = from + layer.tokens(head);
          floats.add(model.backend.host().copyToHostFloats(layer.keys().slice(0, from, to)));
          floats.add(model.backend.host().copyToHostFloats(layer.values().slice(0, from, to)));
          whole.add(model.backend.host().copyToHostInts(layer.positions().slice(0, from, to)));
        }
      }
      return new Left(context.keptChunks(), floats, whole);
    }
  }

  private static int alone() {
    return CHUNK_TOKENS + prompt.query().length;
  }

  /** Even and ragged heads, no score, windows of a question and of whole passes. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "selector=ada-kv",
        "schedule=per-chunk(rerotate=true)",
        "token-scorer=expected-attention",
        "token-scorer=compactor",
        "chunk-scorer=none; chunk-eviction=all; token-scorer=key-diff",
        "budget=everything",
        "merge=reread"
      })
  void aGroupLeavesWhatItsChunksLeaveAlone(String changes) {
    Plan plan = plan(changes);
    Left alone = left(plan, alone());
    for (int together : new int[] {2, 3}) {
      Left grouped = left(plan, together * alone());
      assertEquals(alone.chunks, grouped.chunks, "groups of " + together);
      assertEquals(alone.whole.size(), grouped.whole.size());
      IntStream.range(0, alone.whole.size())
          .forEach(i -> assertArrayEquals(alone.whole.get(i), grouped.whole.get(i)));
      IntStream.range(0, alone.floats.size())
          .forEach(i -> assertArrayEquals(alone.floats.get(i), grouped.floats.get(i)));
    }
  }

  @Test
  void progressCountsTheChunksOfEachGroup() {
    model.guise.blockTokens = 3 * alone();
    var heard = new ArrayList<List<Long>>();
    try (MemoryScope scope = model.scope.child("run")) {
      ContextRequest request =
          request(
              scope,
              plan(""),
              new Cancellation(),
              (done, total, tokens) -> heard.add(List.of((long) done, (long) total, tokens)));
      int chunks = request.chunks().size();
      assertEquals(CHUNKS, chunks);
      ParallelContext.build(request, request.chunks());
      var expected = new ArrayList<List<Long>>();
      for (long group = 0; group < 4; group++) {
        long tokens = 3 * CHUNK_TOKENS * group;
        expected.add(List.of(3 * group, (long) CHUNKS, tokens));
        expected.add(List.of(3 * group, (long) CHUNKS, tokens + 3 * CHUNK_TOKENS));
      }
      expected.add(List.of((long) CHUNKS, (long) CHUNKS, (long) textIds.length));
      assertEquals(expected, heard);
    }
  }

  @Test
  void aCancelledRequestBeginsNoFurtherGroup() {
    model.guise.blockTokens = 3 * alone();
    var cancellation = new Cancellation();
    try (MemoryScope scope = model.scope.child("run")) {
      ContextRequest request =
          request(
              scope,
              plan(""),
              cancellation,
              (done, total, tokens) -> {
                assertTrue(done <= 3, "a group was begun after the request was cancelled");
                if (tokens == 6 * CHUNK_TOKENS) {
                  cancellation.cancel();
                }
              });
      assertThrows(RequestCancelled.class, () -> ParallelContext.build(request, request.chunks()));
    }
  }

  @Test
  void aGroupThatFailsLeavesNothing() {
    model.guise.blockTokens = 3 * alone();
    Left whole = left(plan(""), 3 * alone());
    int layers = model.source.config().layers();
    // In the first chunk, in the second, in the last layer of the last one.
    for (int cuts : new int[] {0, 3 * (layers / 2) + 1, 3 * layers - 1}) {
      try (MemoryScope scope = model.scope.child("run")) {
        ContextRequest request =
            request(scope, plan(""), new Cancellation(), (done, total, tokens) -> {});
        model.guise.cutsUntilFull = cuts;
        var full =
            assertThrows(
                InferenceException.class, () -> ParallelContext.build(request, request.chunks()));
        assertEquals(ErrorCode.OUT_OF_MEMORY, full.code());
        assertEquals(0, scope.allocatedBytes(), "after " + cuts + " cuts");
      }
      model.guise.cutsUntilFull = Integer.MAX_VALUE;
    }
    assertEquals(whole.chunks, left(plan(""), 3 * alone()).chunks);
  }

  @Test
  void theMemoryOfAGroupIsPlanned() {
    long alone = planned(alone());
    long together = planned(3 * alone());
    ContextRequest request =
        request(model.scope, plan(""), new Cancellation(), (done, total, tokens) -> {});
    int layers = model.source.config().layers();
    int uncut = prompt.prefix().length + alone();
    long keptOfTwoMore = request.cacheBytes(2L * 40);
    long uncutOfTwoMore = request.cacheBytes(2L * uncut) / layers;
    long rowsOfTwoMore = 2L * alone() * model.source.config().hiddenDim() * Float.BYTES;
    assertTrue(
        together - alone >= keptOfTwoMore + uncutOfTwoMore + rowsOfTwoMore,
        alone + " bytes alone, " + together + " together");
  }

  /** Returns the bytes that a request says it needs where none are free. */
  private static long planned(int blockTokens) {
    model.guise.blockTokens = blockTokens;
    model.guise.freeBytes = 0;
    try (MemoryScope scope = model.scope.child("run")) {
      ContextRequest request =
          request(scope, plan(""), new Cancellation(), (done, total, tokens) -> {});
      var refused =
          assertThrows(
              InferenceException.class, () -> ParallelContext.build(request, request.chunks()));
      assertEquals(ErrorCode.OUT_OF_MEMORY, refused.code());
      assertEquals(0, scope.allocatedBytes());
      Matcher bytes = Pattern.compile("This needs ([0-9]+) bytes").matcher(refused.getMessage());
      assertTrue(bytes.find(), refused.getMessage());
      return Long.parseLong(bytes.group(1));
    }
  }
}
