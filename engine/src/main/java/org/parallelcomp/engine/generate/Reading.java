package org.parallelcomp.engine.generate;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.parallelcomp.api.backend.MemoryScope;
import org.parallelcomp.api.backend.Rope;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.policy.Chunk;
import org.parallelcomp.api.policy.ContextMerge;
import org.parallelcomp.api.policy.EvictionSchedule;
import org.parallelcomp.api.policy.Plan;
import org.parallelcomp.api.policy.PolicyKind;
import org.parallelcomp.api.policy.PrefillMode;
import org.parallelcomp.api.tensor.Tensor;
import org.parallelcomp.engine.CacheReport;
import org.parallelcomp.engine.Citation;
import org.parallelcomp.engine.Figures;
import org.parallelcomp.engine.GenerationRequest;
import org.parallelcomp.engine.Progress;
import org.parallelcomp.engine.Progress.Phase;
import org.parallelcomp.engine.PromptForm;
import org.parallelcomp.engine.RopeScaling;
import org.parallelcomp.engine.TokenSink;
import org.parallelcomp.engine.load.ModelConfig;
import org.parallelcomp.engine.load.ModelSource;
import org.parallelcomp.engine.model.Decoder;
import org.parallelcomp.engine.model.LoadedModel;
import org.parallelcomp.engine.model.RopeScalings;
import org.parallelcomp.engine.model.RopeTable;
import org.parallelcomp.engine.text.Encoded;
import org.parallelcomp.engine.text.PromptParts;

/**
 * A text on its way to the caches that answers are decoded from, and what became of it. Closing it
 * frees all memory that the request has on the devices.
 */
final class Reading implements AutoCloseable {
  /** The request's own question is the only one. */
  private static final int ALONE = 0;

  private final ModelParts parts;
  private final ModelSource source;
  private final GenerationRequest request;
  private final TokenSink sink;
  private final Plan plan;
  private final PromptForm form;
  private final Policies policies;
  private final Tracer tracer;
  private final int roomTokens;
  private final List<Session> sessions = new ArrayList<>();
  private final List<String> warnings = new ArrayList<>();
  private Encoded text = new Encoded(new int[0], new int[0], new int[0]);
  private PromptParts prompt = new PromptParts(new int[0], new int[0], 0, 0);
  private List<Chunk> chunks = List.of();
  private List<Citation> citations = List.of();
  private CacheReport cacheReport =
      new CacheReport(CacheReport.Compression.NOT_ASKED, List.of(), 0, 0);
  private long prefilledTokens;
  private long readNanos;
  private long prefillNanos;
  private long mergeNanos;

  private Reading(ModelParts parts, GenerationRequest request, TokenSink sink, int roomTokens) {
    this.parts = parts;
    this.source = parts.source();
    this.request = request;
    this.sink = sink;
    this.plan = parts.plan(request);
    this.form = parts.form(request);
    this.policies = Policies.create(plan, parts.catalog());
    this.tracer = request.traced() && request.text() != null ? Tracer.on() : Tracer.OFF;
    this.roomTokens = roomTokens;
  }

  /** Returns the reading of a text for the one question that the request asks. */
  static Reading forOneQuestion(ModelParts parts, GenerationRequest request, TokenSink sink) {
    return new Reading(parts, request, sink, ALONE);
  }

  /**
   * Returns the reading of a text for questions to come.
   *
   * @param request its question, which may be blank, is what the plan looks at
   * @param roomTokens most tokens of a question, with the words around it, and its answer
   */
  static Reading forQuestionsToCome(
      ModelParts parts, GenerationRequest request, int roomTokens, TokenSink sink) {
    return new Reading(parts, request, sink, Math.max(1, roomTokens));
  }

  // ---- from characters to a context ----

  /** Returns the caches in which prefix and context lie or are pending. */
  AnswerCaches prefill() {
    RequestCancelled.check(request.cancellation());
    read();
    int positions = positionsNeeded();
    ModelConfig config = scaled(positions);
    for (LoadedModel model : parts.models()) {
      sessions.add(session(model, config, positions));
    }
    long begin = System.nanoTime();
    ContextRequest contextRequest = contextRequest(begin);
    Context context = context(contextRequest);
    prefillNanos = System.nanoTime() - begin;
    return new AnswerCaches(contextRequest, context);
  }

  private Session session(LoadedModel model, ModelConfig config, int positions) {
    MemoryScope requestScope = model.scope().child("request");
    try {
      boolean asTrained =
          positions <= model.windowRope().positions() && config.rope() == source.config().rope();
      Rope rope =
          asTrained
              ? model.windowRope()
              : RopeTable.create(model.backend(), requestScope, config.rope(), positions);
      return new Session(
          model.backend(),
          requestScope,
          new Decoder(model.backend(), config, model.weights(), requestScope, rope));
    } catch (RuntimeException | Error e) {
      requestScope.close();
      throw e;
    }
  }

  /** Text and question to tokens. */
  private void read() {
    var event = new PhaseEvents.Read();
    event.begin();
    long begin = System.nanoTime();
    report(Phase.READ, 0, 1, 0, begin);
    if (request.text() == null) {
      int[] ids = parts.promptBuilder().prompt(request.question(), request.chat());
      prompt = new PromptParts(new int[0], ids, 0, ids.length);
    } else {
      if (request.text().isBlank()) {
        throw new InferenceException(ErrorCode.INVALID_TEXT, "The text is empty.");
      }
      text = parts.tokenizer().encode(request.text());
      prompt =
          request.question().isBlank()
              ? parts.promptBuilder().prefix(form, request.chat())
              : parts.promptBuilder().build(form, request.question(), request.chat());
    }
    readNanos = System.nanoTime() - begin;
    event.textTokens = text.tokens();
    event.commit();
    report(Phase.READ, 1, 1, text.tokens(), begin);
  }

  /** Returns for how many tokens there must be room behind the prompt's query. */
  private int answerTokens() {
    return roomTokens == ALONE
        ? request.maxTokens()
        : Math.max(0, roomTokens - prompt.query().length);
  }

  /** Positions that the request may use: the trained window, unless the plan lets it run past. */
  private int positionsNeeded() {
    long behind = (long) prompt.prefix().length + prompt.query().length + answerTokens();
    long total = text.tokens() + behind;
    int window = source.config().trainedWindow();
    boolean oneText = request.text() == null || !plan.bindToWindow();
    if (!oneText || total <= window) {
      return window;
    }
    requireMemory(behind, total);
    if (request.ropeScaling().method() == RopeScaling.Method.NONE) {
      warn(
          "Text, prompt and answer take up to "
              + total
              + " tokens, but the model was trained on "
              + window
              + "; expect nonsense beyond its window.");
    }
    return (int) total;
  }

  /**
   * Refuses what can never fit, before anything is allocated: however the text is cut, prompt and
   * answer are cached whole. The context is checked once its size is known.
   */
  private void requireMemory(long cachedTokens, long positions) {
    if (positions > Integer.MAX_VALUE) {
      throw new InferenceException(
          ErrorCode.INVALID_ARGUMENT,
          "Text, prompt and answer may take at most "
              + Integer.MAX_VALUE
              + " tokens, not "
              + positions
              + ".");
    }
    MemoryPlan least = MemoryPlan.of(parts.format(), source.weightBytes(), cachedTokens, 1);
    new MemoryPlan(
            least.weightBytes(),
            least.cacheBytes(),
            least.workspaceBytes() + RopeTable.bytes(source.config().rope(), (int) positions))
        .requireFits(parts.backend().info().freeBytes());
  }

  /** The model with its positions scaled as the request says. */
  private ModelConfig scaled(int positions) {
    ModelConfig config = source.config();
    return config.withRope(
        RopeScalings.scale(
            config.rope(), request.ropeScaling(), config.trainedWindow(), positions));
  }

  private ContextRequest contextRequest(long begin) {
    String textOrNothing = request.text() == null ? "" : request.text();
    return new ContextRequest(
        sessions,
        policies,
        source.weightBytes(),
        prompt,
        text.ids(),
        parts.tokenizer().sentenceEnds(text.ids()),
        text.paragraphEnds(textOrNothing),
        answerTokens(),
        request.cancellation(),
        (done, total, tokensDone) -> report(Phase.PREFILL, done, total, tokensDone, begin),
        tracer);
  }

  /** Chunks to a context. */
  private Context context(ContextRequest contextRequest) {
    if (request.text() == null) {
      return PlainContext.of(contextRequest, new int[0], List.of(), List.of());
    }
    policies.requireWeighingFits(source.config().layers());
    chunks = contextRequest.chunks();
    return plan.prefill() == PrefillMode.SEQUENTIAL
        ? SequentialContext.build(contextRequest, chunks)
        : ParallelContext.build(contextRequest, chunks);
  }

  // ---- what is pending ----

  /**
   * Runs what is pending, the request's question included.
   *
   * @return the hidden state of the last token before the answer, {@code [1, hiddenDim]}
   */
  Tensor runQuestion(AnswerCaches caches) {
    long begin = System.nanoTime();
    var event = new PhaseEvents.Merge();
    event.begin();
    Tensor hidden = caches.runPending(progress(begin, caches.pendingTokens()));
    settled(caches, prompt.query().length, begin, event);
    return hidden;
  }

  /** Runs what is pending of the context, and lets go of all but the context's own memory. */
  HeldCaches runContext(AnswerCaches caches) {
    long begin = System.nanoTime();
    var event = new PhaseEvents.Merge();
    event.begin();
    HeldCaches held = caches.runContext(progress(begin, caches.pendingTokens()));
    settled(caches, 0, begin, event);
    sessions.getFirst().decoder().close();
    for (Session other : sessions.subList(1, sessions.size())) {
      other.close();
    }
    return held;
  }

  private BlockPrefill.Listener progress(long begin, int pending) {
    return new BlockPrefill.Listener() {
      @Override
      public void beforeLastBlock() {}

      @Override
      public void afterBlock(int tokensDone) {
        report(Phase.MERGE, tokensDone, pending, tokensDone, begin);
      }
    };
  }

  /** Notes what was kept, which is known only now. */
  private void settled(AnswerCaches caches, int newestTokens, long begin, PhaseEvents.Merge event) {
    prefilledTokens = sessions.stream().mapToLong(s -> s.decoder().tokensRun()).sum();
    citations = cite(caches.keptChunks());
    cacheReport = cacheReport(caches, newestTokens);
    mergeNanos = System.nanoTime() - begin;
    event.keptChunks = citations.size();
    event.keptBytes = keptCacheBytes();
    event.commit();
  }

  private CacheReport cacheReport(AnswerCaches caches, int newestTokens) {
    long tokenBytes = parts.format().headTokenBytes();
    List<CacheReport.Layer> layers =
        caches.tokensPerHead(newestTokens).stream()
            .map(
                tokens ->
                    new CacheReport.Layer(
                        tokens, tokenBytes * tokens.stream().mapToLong(Integer::longValue).sum()))
            .toList();
    return new CacheReport(compression(layers), layers, caches.bytes(), 0);
  }

  /** Whether the plan asks for eviction inside the kept chunks, and whether there was any. */
  private CacheReport.Compression compression(List<CacheReport.Layer> layers) {
    boolean asked =
        request.text() != null
            && policies.budget().evicts()
            && policies.schedule().prefill() != EvictionSchedule.Prefill.NEVER;
    long whole = prompt.prefix().length;
    for (Citation citation : citations) {
      whole += citation.tokens();
    }
    if (plan.prefill() == PrefillMode.SEQUENTIAL) {
      whole += text.tokens();
    }
    long most = whole;
    if (layers.stream()
        .anyMatch(layer -> layer.keptTokens().stream().anyMatch(tokens -> tokens < most))) {
      return CacheReport.Compression.APPLIED;
    }
    if (!asked) {
      return CacheReport.Compression.NOT_ASKED;
    }
    if (policies.merge() instanceof ContextMerge.Reread
        && policies.schedule().prefill() == EvictionSchedule.Prefill.PER_CHUNK) {
      warn(
          "The plan's budget '"
              + plan.policy(PolicyKind.BUDGET)
              + "' was not applied: its merge reads the kept chunks whole. The schedule 'merged'"
              + " would cut them then.");
      return CacheReport.Compression.NOT_APPLIED;
    }
    return longestChunkIsCut()
        ? CacheReport.Compression.SHORT_CHUNKS
        : CacheReport.Compression.NOTHING_TO_EVICT;
  }

  /** Whether the budget takes something of the longest chunk, were it among so many kept ones. */
  private boolean longestChunkIsCut() {
    int longest = chunks.stream().mapToInt(Chunk::tokens).max().orElse(0);
    return plan.prefill() == PrefillMode.PARALLEL
        && !citations.isEmpty()
        && TokenEviction.perChunk(policies, parts.format(), citations.size())
            .budgetCutsAnywhere(longest);
  }

  private List<Citation> cite(List<Context.KeptChunk> keptChunks) {
    var cited = new ArrayList<Citation>();
    for (Context.KeptChunk kept : keptChunks) {
      Chunk chunk = chunks.get(kept.chunk());
      int from = text.fromChar()[chunk.fromToken()];
      int to = text.toChar()[chunk.toToken() - 1];
      cited.add(
          new Citation(
              chunk.index(),
              from,
              to,
              chunk.tokens(),
              kept.selfInformation(),
              kept.keptTokensPerLayer(),
              request.text().substring(from, to)));
    }
    return List.copyOf(cited);
  }

  /** Says that no chunk was kept. */
  void noChunkKept(NoChunkKept end) {
    warn(
        String.format(
            Locale.ROOT,
            "No chunk of the text explains the question well enough (the best score is %.3f), so"
                + " nothing was answered.",
            end.bestScore()));
  }

  private void warn(String sentence) {
    warnings.add(sentence);
    sink.onWarning(sentence);
  }

  private void report(Phase phase, int done, int total, long tokensDone, long begin) {
    sink.onProgress(new Progress(phase, done, total, tokensDone, System.nanoTime() - begin));
  }

  // ---- what came of it ----

  GenerationRequest request() {
    return request;
  }

  Plan plan() {
    return plan;
  }

  PromptForm form() {
    return form;
  }

  Encoded text() {
    return text;
  }

  /**
   * Returns what it cost until a question had been read.
   *
   * @param around the words around the text and the question
   */
  Figures figures(PromptParts around, Cost cost) {
    int promptTokens = around.prefix().length + around.query().length;
    return new Figures(
        text.tokens(),
        promptTokens,
        cost.prefilledTokens(),
        0,
        chunks.size(),
        citations.size(),
        parts.format().bytes((long) text.tokens() + promptTokens),
        keptCacheBytes(),
        cost.readNanos(),
        cost.prefillNanos(),
        cost.mergeNanos(),
        0,
        0);
  }

  PromptParts prompt() {
    return prompt;
  }

  List<Chunk> chunks() {
    return chunks;
  }

  List<Citation> citations() {
    return citations;
  }

  CacheReport cacheReport() {
    return cacheReport;
  }

  private long keptCacheBytes() {
    return cacheReport.layers().stream().mapToLong(CacheReport.Layer::keptBytes).sum();
  }

  List<String> warnings() {
    return warnings;
  }

  Tracer tracer() {
    return tracer;
  }

  /** Returns the device on which the kept chunks are. */
  Session first() {
    return sessions.getFirst();
  }

  /** Returns how many tokens have passed through the model, and the time for it. */
  Cost cost() {
    return new Cost(prefilledTokens, readNanos, prefillNanos, mergeNanos);
  }

  /**
   * What it took until the question had been read.
   *
   * @param prefilledTokens tokens run through the model
   * @param readNanos time for text to tokens
   * @param prefillNanos time for all chunks
   * @param mergeNanos time to bring the kept chunks together and prefill the question
   */
  record Cost(long prefilledTokens, long readNanos, long prefillNanos, long mergeNanos) {}

  @Override
  public void close() {
    sessions.forEach(Session::close);
  }
}
