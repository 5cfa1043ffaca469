package org.parallelcomp.engine.generate;

import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.policy.ChunkingInput;
import org.parallelcomp.api.policy.ContextMerge;
import org.parallelcomp.api.policy.EvictionSchedule;
import org.parallelcomp.api.policy.Plan;
import org.parallelcomp.api.policy.PolicyKind;
import org.parallelcomp.api.tensor.Tensor;
import org.parallelcomp.engine.FinishReason;
import org.parallelcomp.engine.GenerationRequest;
import org.parallelcomp.engine.GenerationResult;
import org.parallelcomp.engine.LogitsSink;
import org.parallelcomp.engine.PolicyCatalog;
import org.parallelcomp.engine.RopeScaling;
import org.parallelcomp.engine.TokenSink;
import org.parallelcomp.engine.load.ModelSource;
import org.parallelcomp.engine.model.CacheFormat;
import org.parallelcomp.engine.model.LoadedModel;
import org.parallelcomp.engine.text.Encoded;
import org.parallelcomp.engine.text.PromptBuilder;
import org.parallelcomp.engine.text.PromptParts;
import org.parallelcomp.engine.text.TextTokenizer;

/** The path of a question: read, prefill, merge, decode. */
public final class Generator {
  /** The preset that is taken where a request names no plan. */
  public static final String DEFAULT_PRESET = "parallelcomp";

  private final ModelParts parts;

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
    var format = new CacheFormat(models.getFirst().backend().traits().cacheType(), source.config());
    this.parts =
        new ModelParts(List.copyOf(models), source, tokenizer, promptBuilder, catalog, format);
  }

  /** Answers a request. */
  public GenerationResult generate(GenerationRequest request, TokenSink sink) {
    return run(request, sink, null);
  }

  /** Decodes given tokens as the answer to a request. */
  public GenerationResult score(
      GenerationRequest request, List<Integer> continuation, LogitsSink sink) {
    return run(scored(request, continuation), TokenSink.NONE, new GivenTokens(continuation, sink));
  }

  /** Returns a request that ends with the given tokens. */
  static GenerationRequest scored(GenerationRequest request, List<Integer> continuation) {
    if (continuation.isEmpty()) {
      throw new InferenceException(
          ErrorCode.INVALID_ARGUMENT, "The continuation must have at least 1 token.");
    }
    return request.withMaxTokens(continuation.size()).withStopStrings(List.of());
  }

  private GenerationResult run(
      GenerationRequest request, TokenSink sink, @Nullable NextToken given) {
    ModelParts.requireQuestion(request);
    var answering = new Answering(parts, request, sink, given);
    Reading reading = Reading.forOneQuestion(parts, request, sink);
    FinishReason reason;
    try (reading) {
      AnswerCaches caches = reading.prefill();
      Tensor hidden = reading.runQuestion(caches);
      reason =
          answering.decode(reading.first().decoder(), caches, hidden, reading.prompt().query());
    } catch (RequestCancelled e) {
      reason = FinishReason.CANCELLED;
    } catch (NoChunkKept e) {
      reason = FinishReason.NO_CHUNK_KEPT;
      reading.noChunkKept(e);
    } catch (InferenceException e) {
      throw MemoryPlan.withAdvice(e);
    }
    return answering.result(reason, reading, reading.prompt(), reading.cost());
  }

  // ---- one context, several questions ----

  /**
   * Reads a text for questions to come.
   *
   * @param request its question, which may be blank, is what the plan looks at
   * @param roomTokens most tokens of a question, with the words around it, and its answer
   * @throws CancellationException if the request was cancelled
   */
  public HeldContext prepare(GenerationRequest request, int roomTokens, TokenSink sink) {
    requirePreparable(parts.plan(request), !request.question().isBlank());
    if (request.text() == null) {
      throw new InferenceException(
          ErrorCode.INVALID_ARGUMENT, "A context is made of a text, but there is none.");
    }
    Reading reading =
        Reading.forQuestionsToCome(parts, request.withTraced(false), roomTokens, sink);
    HeldContext context = null;
    try {
      context = new HeldContext(parts, reading, reading.runContext(reading.prefill()));
    } catch (NoChunkKept e) {
      reading.noChunkKept(e);
      context = new HeldContext(parts, reading, null);
    } catch (RequestCancelled e) {
      throw new CancellationException("The reading of a text was cancelled.");
    } catch (InferenceException e) {
      throw MemoryPlan.withAdvice(e);
    } finally {
      if (context == null) {
        reading.close();
      }
    }
    return context;
  }

  /**
   * Refuses a plan whose context cannot be asked several questions.
   *
   * @param withQuestion whether the text is read with a question to look at
   */
  public void requirePreparable(Plan plan, boolean withQuestion) {
    Policies policies = Policies.create(plan, parts.catalog());
    if (policies.schedule().decoding().isPresent()) {
      throw new InferenceException(
          ErrorCode.INVALID_ARGUMENT,
          "The schedule '"
              + plan.policy(PolicyKind.SCHEDULE)
              + "' cuts the context while an answer grows, so that it would not be whole for the"
              + " next question; each must read the text anew.");
    }
    if (!withQuestion && policies.chunkScorerLooksAtQuestion()) {
      throw new InferenceException(
          ErrorCode.INVALID_ARGUMENT,
          "The chunk-scorer '"
              + plan.policy(PolicyKind.CHUNK_SCORER)
              + "' looks at the question; give one, or all that will be asked, to read the text"
              + " by.");
    }
  }

  /** Returns how many tokens a request's question takes with the words around it. */
  public int queryTokens(GenerationRequest request) {
    return parts
        .promptBuilder()
        .build(parts.form(request), request.question(), request.chat())
        .query()
        .length;
  }

  /** Returns how many tokens stay free for a question and its answer where nobody says it. */
  public int defaultRoom() {
    return Math.min(512, parts.source().config().trainedWindow() / 4);
  }

  /** Returns whether the context of each of these requests is the same. */
  public boolean haveSameContext(List<GenerationRequest> requests) {
    GenerationRequest first = requests.getFirst();
    Policies policies = Policies.create(parts.plan(first), parts.catalog());
    int layers = parts.source().config().layers();
    boolean cutLater =
        policies.schedule().decoding().isPresent()
            || policies.schedule().prefill() == EvictionSchedule.Prefill.MERGED;
    if (first.text() == null || cutLater || policies.looksAtQuestion(layers)) {
      return false;
    }
    for (GenerationRequest request : requests) {
      boolean same =
          first.text().equals(request.text())
              && parts.plan(request).equals(policies.plan())
              && parts.form(request).instruction().equals(parts.form(first).instruction())
              && request.chat() == first.chat()
              && request.ropeScaling().equals(first.ropeScaling())
              && !request.traced();
      if (!same) {
        return false;
      }
    }
    return requests.size() == 1 || roomMakesNoDifference(requests, policies);
  }

  /** Longer questions and answers may leave less room for chunks, or stretch scaled positions. */
  private boolean roomMakesNoDifference(List<GenerationRequest> requests, Policies policies) {
    GenerationRequest first = requests.getFirst();
    PromptParts prompt = parts.promptBuilder().prefix(parts.form(first), first.chat());
    int[] rooms =
        requests.stream().mapToInt(r -> queryTokens(r) + r.maxTokens()).distinct().toArray();
    if (rooms.length == 1) {
      return true;
    }
    int least = IntStream.of(rooms).min().orElseThrow();
    int most = IntStream.of(rooms).max().orElseThrow();
    int window = parts.source().config().trainedWindow();
    Encoded text = parts.tokenizer().encode(first.text());
    long longest = (long) prompt.prefix().length + text.tokens() + most;
    boolean scales =
        first.ropeScaling().method() != RopeScaling.Method.NONE
            && first.ropeScaling().factor() == 0;
    if (!policies.plan().bindToWindow()) {
      return !scales || longest <= window;
    }
    int free = window - prompt.prefix().length;
    if (free - most < 1 || policies.merge() instanceof ContextMerge.Reread) {
      return false;
    }
    var sentenceEnds = parts.tokenizer().sentenceEnds(text.ids());
    var paragraphEnds = text.paragraphEnds(first.text());
    return policies
        .chunking()
        .split(new ChunkingInput(text.tokens(), free - most, sentenceEnds, paragraphEnds))
        .equals(
            policies
                .chunking()
                .split(
                    new ChunkingInput(text.tokens(), free - least, sentenceEnds, paragraphEnds)));
  }
}
