package org.parallelcomp.engine.generate;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.parallelcomp.api.backend.Backend;
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
import org.parallelcomp.engine.FinishReason;
import org.parallelcomp.engine.GenerationRequest;
import org.parallelcomp.engine.GenerationResult;
import org.parallelcomp.engine.LogitsSink;
import org.parallelcomp.engine.PolicyCatalog;
import org.parallelcomp.engine.Progress;
import org.parallelcomp.engine.Progress.Phase;
import org.parallelcomp.engine.PromptForm;
import org.parallelcomp.engine.RopeScaling;
import org.parallelcomp.engine.TokenSink;
import org.parallelcomp.engine.load.ModelConfig;
import org.parallelcomp.engine.load.ModelSource;
import org.parallelcomp.engine.model.CacheFormat;
import org.parallelcomp.engine.model.Decoder;
import org.parallelcomp.engine.model.LoadedModel;
import org.parallelcomp.engine.model.RopeScalings;
import org.parallelcomp.engine.model.RopeTable;
import org.parallelcomp.engine.text.Encoded;
import org.parallelcomp.engine.text.PromptBuilder;
import org.parallelcomp.engine.text.PromptParts;
import org.parallelcomp.engine.text.TextTokenizer;
import org.parallelcomp.engine.text.TokenDecoder;

/** The path of a question: read, prefill, merge, decode. */
public final class Generator {
  /** The preset that is taken where a request names no plan. */
  public static final String DEFAULT_PRESET = "parallelcomp";

  private final List<LoadedModel> models;
  private final Backend backend;
  private final ModelSource source;
  private final TextTokenizer tokenizer;
  private final PromptBuilder promptBuilder;
  private final PolicyCatalog catalog;
  private final CacheFormat format;

  /**
   * Creates a generator.
   *
   * @param models the model on each device, at least one; the first also decodes
   */
  public Generator(
      List<LoadedModel> models,
      ModelSource source,
      TextTokenizer tokenizer,
      PromptBuilder promptBuilder,
      PolicyCatalog catalog) {
    this.models = List.copyOf(models);
    this.backend = models.getFirst().backend();
    this.source = source;
    this.tokenizer = tokenizer;
    this.promptBuilder = promptBuilder;
    this.catalog = catalog;
    this.format = new CacheFormat(backend.traits().cacheType(), source.config());
  }

  /** Answers a request. */
  public GenerationResult generate(GenerationRequest request, TokenSink sink) {
    return run(request, sink, null);
  }

  /** Decodes given tokens as the answer to a request. */
  public GenerationResult score(
      GenerationRequest request, List<Integer> continuation, LogitsSink sink) {
    if (continuation.isEmpty()) {
      throw new InferenceException(
          ErrorCode.INVALID_ARGUMENT, "The continuation must have at least 1 token.");
    }
    return run(
        request.withMaxTokens(continuation.size()).withStopStrings(List.of()),
        TokenSink.NONE,
        new GivenTokens(continuation, sink));
  }

  private GenerationResult run(
      GenerationRequest request, TokenSink sink, @Nullable NextToken given) {
    if (request.maxTokens() < 1) {
      throw new InferenceException(
          ErrorCode.INVALID_ARGUMENT,
          "The answer must be allowed at least 1 token, not " + request.maxTokens() + ".");
    }
    if (request.question().isBlank()) {
      throw new InferenceException(
          ErrorCode.INVALID_TEXT,
          request.text() == null ? "The prompt is empty." : "The question is empty.");
    }
    Plan plan = request.plan() == null ? catalog.preset(DEFAULT_PRESET).plan() : request.plan();
    PromptForm form = request.form() == null ? source.form() : request.form();
    return new Run(request, sink, plan, form, given).execute();
  }

  /** One request on its way. */
  private final class Run {
    private final GenerationRequest request;
    private final TokenSink sink;
    private final Plan plan;
    private final PromptForm form;
    private final @Nullable NextToken given;
    private final Policies policies;
    private final List<String> warnings = new ArrayList<>();
    private final long started = System.nanoTime();
    private final AnswerText answer;
    private final Tracer tracer;
    private Encoded text = new Encoded(new int[0], new int[0], new int[0]);
    private PromptParts prompt = new PromptParts(new int[0], new int[0], 0, 0);
    private List<Chunk> chunks = List.of();
    private List<Citation> citations = List.of();
    private List<Integer> answerIds = List.of();
    private long keptCacheBytes;
    private CacheReport cacheReport =
        new CacheReport(CacheReport.Compression.NOT_ASKED, List.of(), 0, 0);
    private long prefilledTokens;
    private long readNanos;
    private long prefillNanos;
    private long mergeNanos;
    private long decodeNanos;
    private long firstTokenNanos;

    Run(
        GenerationRequest request,
        TokenSink sink,
        Plan plan,
        PromptForm form,
        @Nullable NextToken given) {
      this.request = request;
      this.sink = sink;
      this.plan = plan;
      this.form = form;
      this.given = given;
      this.policies = Policies.create(plan, catalog);
      this.answer = new AnswerText(request.stopStrings(), sink);
      this.tracer = request.traced() && request.text() != null ? Tracer.on() : Tracer.OFF;
    }

    GenerationResult execute() {
      FinishReason reason;
      try {
        RequestCancelled.check(request.cancellation());
        read();
        reason = answerOn(positionsNeeded());
      } catch (RequestCancelled e) {
        reason = FinishReason.CANCELLED;
      } catch (NoChunkKept e) {
        reason = FinishReason.NO_CHUNK_KEPT;
        warn(
            String.format(
                Locale.ROOT,
                "No chunk of the text explains the question well enough (the best score is %.3f), so"
                    + " nothing was answered.",
                e.bestScore()));
      }
      return result(reason, answer.finish());
    }

    private FinishReason answerOn(int positions) {
      ModelConfig config = scaled(positions);
      var sessions = new ArrayList<Session>();
      try {
        for (LoadedModel model : models) {
          sessions.add(session(model, config, positions));
        }
        return answer(sessions);
      } catch (InferenceException e) {
        throw MemoryPlan.withAdvice(e);
      } finally {
        sessions.forEach(Session::close);
      }
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
        int[] ids = promptBuilder.prompt(request.question(), request.chat());
        prompt = new PromptParts(new int[0], ids, 0, ids.length);
      } else {
        if (request.text().isBlank()) {
          throw new InferenceException(ErrorCode.INVALID_TEXT, "The text is empty.");
        }
        text = tokenizer.encode(request.text());
        prompt = promptBuilder.build(form, request.question(), request.chat());
      }
      readNanos = System.nanoTime() - begin;
      event.textTokens = text.tokens();
      event.commit();
      report(Phase.READ, 1, 1, text.tokens(), begin);
    }

    /** Positions that the request may use: the trained window, unless the plan lets it run past. */
    private int positionsNeeded() {
      int promptTokens = prompt.prefix().length + prompt.query().length;
      long total = (long) text.tokens() + promptTokens + request.maxTokens();
      int window = source.config().trainedWindow();
      boolean oneText = request.text() == null || !plan.bindToWindow();
      if (!oneText || total <= window) {
        return window;
      }
      requireMemory(promptTokens + (long) request.maxTokens(), total);
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
      MemoryPlan least = MemoryPlan.of(format, source.weightBytes(), cachedTokens, 1);
      new MemoryPlan(
              least.weightBytes(),
              least.cacheBytes(),
              least.workspaceBytes() + RopeTable.bytes(source.config().rope(), (int) positions))
          .requireFits(backend.info().freeBytes());
    }

    /** The model with its positions scaled as the request says. */
    private ModelConfig scaled(int positions) {
      ModelConfig config = source.config();
      return config.withRope(
          RopeScalings.scale(
              config.rope(), request.ropeScaling(), config.trainedWindow(), positions));
    }

    private FinishReason answer(List<Session> sessions) {
      long begin = System.nanoTime();
      ContextRequest contextRequest = contextRequest(sessions, begin);
      Context context = prefill(contextRequest);
      prefillNanos = System.nanoTime() - begin;
      var caches = new AnswerCaches(contextRequest, context);
      return decode(caches, contextRequest.decoder(), runPending(caches, context, sessions));
    }

    private ContextRequest contextRequest(List<Session> sessions, long begin) {
      String textOrNothing = request.text() == null ? "" : request.text();
      return new ContextRequest(
          sessions,
          policies,
          source.weightBytes(),
          prompt,
          text.ids(),
          tokenizer.sentenceEnds(text.ids()),
          text.paragraphEnds(textOrNothing),
          request.maxTokens(),
          request.cancellation(),
          (done, total, tokensDone) -> report(Phase.PREFILL, done, total, tokensDone, begin),
          tracer);
    }

    /** Chunks to a context. */
    private Context prefill(ContextRequest contextRequest) {
      if (request.text() == null) {
        return PlainContext.of(contextRequest, new int[0], List.of(), List.of());
      }
      policies.requireWeighingFits(source.config().layers());
      chunks = contextRequest.chunks();
      return plan.prefill() == PrefillMode.SEQUENTIAL
          ? SequentialContext.build(contextRequest, chunks)
          : ParallelContext.build(contextRequest, chunks);
    }

    /** What is pending behind the context; then it is known what was kept. */
    private Tensor runPending(AnswerCaches caches, Context context, List<Session> sessions) {
      long begin = System.nanoTime();
      var event = new PhaseEvents.Merge();
      event.begin();
      int pending = context.pendingIds().length;
      Tensor hidden =
          caches.runPending(
              new BlockPrefill.Listener() {
                @Override
                public void beforeLastBlock() {}

                @Override
                public void afterBlock(int tokensDone) {
                  report(Phase.MERGE, tokensDone, pending, tokensDone, begin);
                }
              });
      prefilledTokens = sessions.stream().mapToLong(s -> s.decoder().tokensRun()).sum();
      citations = cite(caches.keptChunks());
      cacheReport = cacheReport(caches);
      keptCacheBytes = cacheReport.layers().stream().mapToLong(CacheReport.Layer::keptBytes).sum();
      mergeNanos = System.nanoTime() - begin;
      event.keptChunks = citations.size();
      event.keptBytes = keptCacheBytes;
      event.commit();
      return hidden;
    }

    private CacheReport cacheReport(AnswerCaches caches) {
      long tokenBytes = format.headTokenBytes();
      List<CacheReport.Layer> layers =
          caches.tokensPerHead(prompt.query().length).stream()
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
      return CacheReport.Compression.NOTHING_TO_EVICT;
    }

    private FinishReason decode(AnswerCaches caches, Decoder decoder, Tensor hidden) {
      var event = new PhaseEvents.Decode();
      event.begin();
      long begin = System.nanoTime();
      TokenDecoder characters = tokenizer.decoder();
      var loop =
          new AnswerLoop(
              backend,
              decoder,
              given != null ? given : new Sampler(request.sampling(), prompt.query()),
              given != null ? Set.of() : source.tokenizer().stopTokens(),
              characters,
              answer,
              request.maxTokens(),
              request.cancellation());
      FinishReason reason =
          loop.run(
              hidden,
              caches,
              tokens -> {
                if (firstTokenNanos == 0) {
                  firstTokenNanos = System.nanoTime() - started;
                }
                report(Phase.DECODE, tokens, request.maxTokens(), tokens, begin);
              });
      answer.append(characters.finish());
      answerIds = loop.tokenIds();
      cacheReport =
          new CacheReport(
              cacheReport.compression(), cacheReport.layers(), caches.bytes(), caches.cuts());
      // A backend that works behind the caller's back has only now done what was asked before.
      long first = firstTokenNanos == 0 ? begin : started + firstTokenNanos;
      mergeNanos += first - begin;
      decodeNanos = System.nanoTime() - first;
      event.answerTokens = answerIds.size();
      event.commit();
      return reason;
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

    private GenerationResult result(FinishReason reason, String answerText) {
      int promptTokens = prompt.prefix().length + prompt.query().length;
      var figures =
          new Figures(
              text.tokens(),
              promptTokens,
              prefilledTokens,
              answerIds.size(),
              chunks.size(),
              citations.size(),
              format.bytes((long) text.tokens() + promptTokens),
              keptCacheBytes,
              readNanos,
              prefillNanos,
              mergeNanos,
              decodeNanos,
              firstTokenNanos);
      return new GenerationResult(
          answerText,
          answerIds,
          reason,
          citations,
          figures,
          cacheReport,
          plan,
          form,
          request.sampling(),
          source.name(),
          backend.info().id(),
          warnings,
          tracer.trace(chunks, text));
    }

    private void warn(String sentence) {
      warnings.add(sentence);
      sink.onWarning(sentence);
    }

    private void report(Phase phase, int done, int total, long tokensDone, long begin) {
      sink.onProgress(new Progress(phase, done, total, tokensDone, System.nanoTime() - begin));
    }
  }
}
