package org.parallelcomp.eval;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.parallelcomp.api.error.ErrorCategory;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.policy.Plan;
import org.parallelcomp.engine.CacheReport;
import org.parallelcomp.engine.Cancellation;
import org.parallelcomp.engine.Engine;
import org.parallelcomp.engine.Figures;
import org.parallelcomp.engine.FinishReason;
import org.parallelcomp.engine.GenerationRequest;
import org.parallelcomp.engine.GenerationResult;
import org.parallelcomp.engine.PromptForm;
import org.parallelcomp.engine.TokenSink;
import org.parallelcomp.engine.TokenizedText;
import org.parallelcomp.eval.cases.EvalCase;
import org.parallelcomp.eval.cases.Filler;
import org.parallelcomp.eval.cases.Passage;

/** Runs one method on one case. */
final class Runner {
  /** Room for what a chat template writes around the words, where a text is cut to the window. */
  private static final int TEMPLATE_TOKENS = 64;

  private final Engine engine;
  private final EvalSpec spec;
  private final Filler books;
  private final Map<String, Method> methods;
  private final CaseMaker maker;
  private final SharedContexts contexts;
  private @Nullable Unit madeFor;
  private @Nullable EvalCase made;
  private @Nullable Unit passageFor;
  private @Nullable Passage passage;
  private @Nullable Unit referenceOf;
  private List<Integer> referenceIds = List.of();
  private List<float[]> referenceLogits = List.of();

  /**
   * @param books text to hide facts in or take passages from, by the engine's tokenizer
   */
  Runner(Engine engine, EvalSpec spec, Filler books, Map<String, Method> methods) {
    this.engine = engine;
    this.spec = spec;
    this.books = books;
    this.methods = methods;
    this.maker = new CaseMaker(engine, spec, this.books);
    this.contexts = new SharedContexts(engine, spec.contexts());
  }

  /** Returns what is to be run, in order. */
  List<Unit> units() {
    return maker.units();
  }

  /** What a text that is read for several questions is told apart by. */
  private record ContextKey(String method, String text) {}

  /** Returns what units have in common that may share a context, or null if none may. */
  @Nullable Object contextOf(Unit unit) {
    return spec.kind() == EvalSpec.Kind.JSONL && spec.contexts() != EvalSpec.Contexts.ANEW
        ? new ContextKey(unit.method(), maker.create(unit).text())
        : null;
  }

  /** Frees what units that were run had in common. */
  void release() {
    contexts.close();
  }

  /**
   * Returns what came of a unit, or null if it was cancelled. What the user could mend (a plan that
   * does not fit a length) is an error of the case, what is broken ends the evaluation.
   */
  @Nullable CaseResult run(Unit unit, TokenSink sink, Cancellation cancellation) {
    Method method = Objects.requireNonNull(methods.get(unit.method()), unit.method());
    try {
      return switch (unit.measure()) {
        case ANSWER -> answer(unit, method, sink, cancellation);
        case LIKELIHOOD -> likelihood(unit, method, cancellation);
        case FIDELITY -> fidelity(unit, method, cancellation);
      };
    } catch (InferenceException e) {
      if (e.category() != ErrorCategory.USER && e.category() != ErrorCategory.RESOURCES) {
        throw e;
      }
      return new Scored(unit).error(String.valueOf(e.getMessage())).result();
    }
  }

  // ---- answers ----

  private @Nullable CaseResult answer(
      Unit unit, Method method, TokenSink sink, Cancellation cancellation) {
    EvalCase evalCase = caseOf(unit);
    boolean traced = spec.kind() == EvalSpec.Kind.BIAS;
    GenerationRequest request =
        request(evalCase, method).withCancellation(cancellation).withTraced(traced);
    Scored scored = new Scored(unit).expected(evalCase.answers());
    GenerationResult result;
    if (spec.kind() == EvalSpec.Kind.JSONL) {
      SharedContexts.Answered answered =
          contexts.answer(
              new ContextKey(unit.method(), evalCase.text()),
              request,
              questionsOf(evalCase.text(), method),
              sink);
      if (answered == null) {
        return null;
      }
      result = answered.result();
      scored.context(answered);
    } else {
      result = engine.generate(request, sink);
    }
    if (result.finishReason() == FinishReason.CANCELLED) {
      return null;
    }
    scored.of(result);
    String fault = notCompressed(result);
    return fault == null
        ? scored.score(evalCase.score(result.answer())).result()
        : scored.error(fault).result();
  }

  /** Returns every question of the data file about a text. */
  private List<GenerationRequest> questionsOf(String text, Method method) {
    return maker.data().stream()
        .filter(each -> each.text().equals(text))
        .map(each -> request(each, method))
        .toList();
  }

  private EvalCase caseOf(Unit unit) {
    if (made == null || madeFor == null || !madeFor.sameCase(unit)) {
      made = maker.create(unit);
      madeFor = unit;
    }
    return made;
  }

  private GenerationRequest request(EvalCase evalCase, Method method) {
    PromptForm form = form(evalCase);
    int maxTokens = spec.maxTokens() > 0 ? spec.maxTokens() : evalCase.maxTokens();
    String text = evalCase.text();
    if (method.cutTokens() != Method.UNCUT) {
      int around =
          engine
                  .tokenize(
                      form.instruction()
                          + form.questionForm()
                          + evalCase.question()
                          + form.answerLead())
                  .tokens()
              + TEMPLATE_TOKENS
              + maxTokens;
      text = headAndTail(text, cutTokens(method, around));
    }
    return GenerationRequest.ask(text, evalCase.question())
        .withPlan(method.plan())
        .withRopeScaling(method.ropeScaling())
        .withForm(form)
        .withMaxTokens(maxTokens);
  }

  private int cutTokens(Method method, int around) {
    return method.cutTokens() == Method.WINDOW
        ? Math.max(2, engine.model().trainedWindow() - around)
        : method.cutTokens();
  }

  /** Whose words, as the specification says. */
  private PromptForm form(EvalCase evalCase) {
    PromptForm model = engine.model().form();
    boolean taskWords = spec.words() == EvalSpec.Words.TASK && evalCase.instruction() != null;
    String instruction =
        taskWords ? Objects.requireNonNull(evalCase.instruction()) : model.instruction();
    String questionForm =
        taskWords && evalCase.questionForm() != null
            ? Objects.requireNonNull(evalCase.questionForm())
            : model.questionForm();
    boolean lead = spec.lead() == null ? taskWords : spec.lead();
    return new PromptForm(
        spec.instruction() != null ? spec.instruction() : instruction,
        spec.questionForm() != null ? spec.questionForm() : questionForm,
        lead && !evalCase.lead().isEmpty() ? evalCase.lead() : model.answerLead());
  }

  private String headAndTail(String text, int tokens) {
    TokenizedText encoded = engine.tokenize(text);
    if (encoded.tokens() <= tokens) {
      return text;
    }
    int head = tokens / 2;
    int tail = encoded.tokens() - (tokens - head);
    return text.substring(0, encoded.toChar()[Math.max(0, head - 1)])
        + text.substring(encoded.fromChar()[tail]);
  }

  private String tail(String text, int tokens) {
    TokenizedText encoded = engine.tokenize(text);
    return encoded.tokens() <= tokens
        ? text
        : text.substring(encoded.fromChar()[encoded.tokens() - tokens]);
  }

  /** Returns what is wrong with a run that was asked to compress and did not, or null. */
  private @Nullable String notCompressed(GenerationResult result) {
    if (result.finishReason() == FinishReason.NO_CHUNK_KEPT) {
      return null;
    }
    CacheReport.Compression compression = result.cache().compression();
    if (compression == CacheReport.Compression.NOT_APPLIED) {
      return "The plan asks to evict tokens, but its merge reads the kept chunks whole.";
    }
    if (compression == CacheReport.Compression.NOTHING_TO_EVICT) {
      return "The plan asks to evict tokens, but the kept chunks have no more than it allows.";
    }
    return tooManyBytes(result);
  }

  private @Nullable String tooManyBytes(GenerationResult result) {
    boolean bound =
        spec.kvBytes() > 0 && result.cache().compression() == CacheReport.Compression.APPLIED;
    // The words before the text are kept beside the budget.
    long allowed =
        spec.kvBytes() + engine.model().cacheBytesPerToken() * result.figures().promptTokens();
    return bound && result.figures().keptCacheBytes() > allowed
        ? "It kept "
            + result.figures().keptCacheBytes()
            + " bytes of keys and values, where "
            + spec.kvBytes()
            + " and those of the prompt were allowed."
        : null;
  }

  // ---- likelihood of given text ----

  private @Nullable CaseResult likelihood(Unit unit, Method method, Cancellation cancellation) {
    Passage passage = passageOf(unit);
    String context = passage.context();
    if (method.cutTokens() != Method.UNCUT) {
      int around = spec.questionTokens() + spec.scoredTokens() + TEMPLATE_TOKENS;
      context = tail(context, cutTokens(method, around));
    }
    GenerationRequest request =
        GenerationRequest.ask(context, passage.question())
            .withPlan(method.plan())
            .withRopeScaling(method.ropeScaling())
            .withForm(new PromptForm("", PromptForm.QUESTION, ""))
            .withChat(false)
            .withCancellation(cancellation);
    double[] nats = new double[1];
    GenerationResult result =
        engine.score(
            request,
            passage.continuation(),
            (index, token, logits) -> nats[0] += Divergence.logSumExp(logits) - logits[token]);
    if (result.finishReason() == FinishReason.CANCELLED) {
      return null;
    }
    int scored = passage.continuation().size();
    Scored row = new Scored(unit).of(result).answer("");
    String fault =
        result.finishReason() == FinishReason.NO_CHUNK_KEPT
            ? "No chunk was kept, so nothing was scored."
            : notCompressed(result);
    return fault == null
        ? row.likelihood(nats[0] / scored, scored).result()
        : row.error(fault).result();
  }

  private Passage passageOf(Unit unit) {
    if (passage == null || passageFor == null || !passageFor.sameCase(unit)) {
      passage =
          Passage.of(
              books,
              unit.tokens(),
              spec.questionTokens(),
              spec.scoredTokens(),
              unit.index(),
              spec.seed());
      passageFor = unit;
    }
    return passage;
  }

  // ---- agreement with full attention ----

  private @Nullable CaseResult fidelity(Unit unit, Method method, Cancellation cancellation) {
    EvalCase evalCase = caseOf(unit);
    if (referenceOf == null || !referenceOf.sameCase(unit)) {
      if (!takeReference(unit, evalCase, cancellation)) {
        return null;
      }
    }
    List<float[]> logits = new ArrayList<>();
    GenerationResult result =
        engine.score(
            request(evalCase, method).withCancellation(cancellation),
            referenceIds,
            (index, token, row) -> logits.add(row));
    if (result.finishReason() == FinishReason.CANCELLED) {
      return null;
    }
    Scored row = new Scored(unit).of(result).expected(evalCase.answers());
    String fault =
        result.finishReason() == FinishReason.NO_CHUNK_KEPT
            ? "No chunk was kept, so nothing was compared."
            : notCompressed(result);
    return fault == null
        ? row.divergence(Divergence.mean(referenceLogits, logits)).result()
        : row.error(fault).result();
  }

  /** Full attention's own answer, and its logits; false if it was cancelled. */
  private boolean takeReference(Unit unit, EvalCase evalCase, Cancellation cancellation) {
    Plan full = engine.plan("full");
    Method reference = Method.parse("full", name -> full);
    GenerationRequest request = request(evalCase, reference).withCancellation(cancellation);
    GenerationResult drawn = engine.generate(request, TokenSink.NONE);
    long needed =
        (long) drawn.figures().textTokens() + drawn.figures().promptTokens() + request.maxTokens();
    if (needed > engine.model().trainedWindow()) {
      throw new InferenceException(
          ErrorCode.INVALID_ARGUMENT,
          "Full attention is a reference within the trained window only, which has "
              + engine.model().trainedWindow()
              + " tokens; text, prompt and answer take "
              + needed
              + ".");
    }
    if (drawn.finishReason() == FinishReason.CANCELLED) {
      return false;
    }
    List<Integer> ids = drawn.tokenIds();
    if (ids.isEmpty()) {
      throw new InferenceException(
          ErrorCode.INVALID_TEXT,
          "Full attention answers nothing here, so there is nothing to compare.");
    }
    List<float[]> logits = new ArrayList<>();
    GenerationResult scored = engine.score(request, ids, (index, token, row) -> logits.add(row));
    referenceOf = unit;
    referenceIds = ids;
    referenceLogits = logits;
    return scored.finishReason() != FinishReason.CANCELLED;
  }

  /** A result that is being put together. */
  private static final class Scored {
    private final Unit unit;
    private @Nullable GenerationResult result;
    private @Nullable Double score;
    private @Nullable Double nats;
    private int scoredTokens;
    private @Nullable Double divergence;
    private @Nullable String answer;
    private List<String> expected = List.of();
    private @Nullable String error;
    private @Nullable String context;
    private double readingSeconds;

    Scored(Unit unit) {
      this.unit = unit;
    }

    Scored of(GenerationResult value) {
      result = value;
      return this;
    }

    Scored expected(List<String> value) {
      expected = value;
      return this;
    }

    Scored answer(String value) {
      answer = value;
      return this;
    }

    Scored context(SharedContexts.Answered answered) {
      context = answered.context();
      readingSeconds = answered.readingSeconds();
      return this;
    }

    Scored score(double value) {
      score = value;
      return this;
    }

    Scored likelihood(double value, int tokens) {
      nats = value;
      scoredTokens = tokens;
      return this;
    }

    Scored divergence(double value) {
      divergence = value;
      return this;
    }

    Scored error(String value) {
      error = value;
      return this;
    }

    CaseResult result() {
      Figures figures = result == null ? null : result.figures();
      return new CaseResult(
          unit.key(),
          unit.method(),
          unit.measure() == Unit.Measure.FIDELITY ? "fidelity" : unit.task(),
          unit.tokens(),
          Double.isNaN(unit.depth()) ? null : unit.depth(),
          score,
          nats,
          scoredTokens,
          divergence,
          answer != null ? answer : result == null ? "" : result.answer(),
          expected,
          error,
          result == null
              ? "none"
              : result.finishReason().name().toLowerCase(Locale.ROOT).replace('_', '-'),
          figures == null ? 0 : figures.textTokens(),
          figures == null ? 0 : figures.chunks(),
          figures == null ? 0 : figures.keptChunks(),
          figures == null ? 0 : figures.keptCacheBytes(),
          figures == null ? 0 : figures.fullCacheBytes(),
          figures == null
              ? 0
              : readingSeconds + (figures.prefillNanos() + figures.mergeNanos()) / 1e9,
          figures == null ? 0 : figures.decodeNanos() / 1e9,
          figures == null ? 0 : figures.answerTokens(),
          context,
          result == null || result.trace() == null ? null : LayerAttention.of(result.trace()));
    }
  }
}
