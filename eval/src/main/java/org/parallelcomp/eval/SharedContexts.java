package org.parallelcomp.eval;

import java.util.List;
import java.util.Objects;
import java.util.concurrent.CancellationException;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import org.parallelcomp.engine.Engine;
import org.parallelcomp.engine.Figures;
import org.parallelcomp.engine.GenerationRequest;
import org.parallelcomp.engine.GenerationResult;
import org.parallelcomp.engine.PreparedContext;
import org.parallelcomp.engine.PromptForm;
import org.parallelcomp.engine.TokenSink;

/** Answers the questions of one context after the other, reading each as often as it must be. */
final class SharedContexts implements AutoCloseable {
  private final Engine engine;
  private final EvalSpec.Contexts contexts;
  private @Nullable Object key;
  private String way = "";
  private @Nullable PreparedContext held;
  private double readingSeconds;

  SharedContexts(Engine engine, EvalSpec.Contexts contexts) {
    this.engine = engine;
    this.contexts = contexts;
  }

  /**
   * An answer, and how its context was read.
   *
   * @param context as {@link CaseResult#context} says it
   * @param readingSeconds time of a reading for several questions, if this is the first of them
   */
  record Answered(GenerationResult result, String context, double readingSeconds) {}

  /**
   * Answers a question, or returns null if it was cancelled while its context was read.
   *
   * @param of tells contexts and plans apart
   * @param request the question
   * @param all every question of its context, this one included
   */
  @Nullable Answered answer(
      Object of, GenerationRequest request, List<GenerationRequest> all, TokenSink sink) {
    if (!of.equals(key)) {
      close();
      way = way(all);
      key = of;
    }
    if (way.equals("anew")) {
      return new Answered(engine.generate(request, sink), way, 0);
    }
    if (held == null) {
      try {
        held = engine.prepare(reading(request, all), all, sink);
      } catch (CancellationException e) {
        return null;
      }
      Figures figures = held.figures();
      readingSeconds = (figures.prefillNanos() + figures.mergeNanos()) / 1e9;
    }
    // The context's own text: one that is cut to the window is cut for the longest question.
    GenerationRequest asked =
        held.request(request.question())
            .withForm(Objects.requireNonNull(request.form()))
            .withMaxTokens(request.maxTokens())
            .withCancellation(request.cancellation());
    var answered = new Answered(held.generate(asked, sink), way, readingSeconds);
    readingSeconds = 0;
    return answered;
  }

  private String way(List<GenerationRequest> all) {
    return switch (contexts) {
      case AUTO -> all.size() > 1 && engine.haveSameContext(all) ? "shared" : "anew";
      case ANEW -> "anew";
      case JOINT -> "joint";
      case UNSEEN -> "unseen";
    };
  }

  /** Returns by which question the text is read. */
  private GenerationRequest reading(GenerationRequest request, List<GenerationRequest> all) {
    GenerationRequest shortest =
        all.stream().min((a, b) -> Integer.compare(length(a), length(b))).orElseThrow();
    String question =
        contexts == EvalSpec.Contexts.JOINT
            ? all.stream()
                .map(GenerationRequest::question)
                .distinct()
                .collect(Collectors.joining("\n"))
            : "";
    PromptForm form = Objects.requireNonNull(shortest.form());
    boolean sameLead =
        all.stream()
            .map(each -> Objects.requireNonNull(each.form()).answerLead())
            .allMatch(form.answerLead()::equals);
    return GenerationRequest.ask(Objects.requireNonNull(shortest.text()), question)
        .withPlan(Objects.requireNonNull(shortest.plan()))
        .withRopeScaling(shortest.ropeScaling())
        .withForm(sameLead ? form : new PromptForm(form.instruction(), form.questionForm(), ""))
        .withCancellation(request.cancellation());
  }

  private static int length(GenerationRequest request) {
    return Objects.requireNonNull(request.text()).length();
  }

  /** Frees the context that is held. */
  @Override
  public void close() {
    if (held != null) {
      held.close();
    }
    held = null;
    key = null;
    readingSeconds = 0;
  }
}
