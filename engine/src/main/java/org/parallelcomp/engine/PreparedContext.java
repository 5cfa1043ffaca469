package org.parallelcomp.engine;

import java.util.List;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.engine.generate.HeldContext;

/**
 * A text that was read once, compressed as its plan says, and answers any number of questions.
 *
 * <pre>{@code
 * try (PreparedContext context = engine.prepare(GenerationRequest.ask(text, "").withPlan(plan))) {
 *   context.ask("Who wrote it?").answer();
 *   context.ask("When?").answer();
 * }
 * }</pre>
 *
 * <p>Each question stands right behind the context, as if it were the first: nothing of earlier
 * questions and answers is left. A question that was cancelled or failed leaves the context as it
 * was. The context holds memory on the engine's first device until it is closed, and ends with the
 * engine. Questions of several threads are answered one after the other.
 */
public final class PreparedContext implements AutoCloseable {
  private final Engine engine;
  private final HeldContext held;

  PreparedContext(Engine engine, HeldContext held) {
    this.engine = engine;
    this.held = held;
  }

  /**
   * Answers a question greedily, with the words around it by which the text was read.
   *
   * @throws InferenceException as {@link #generate}
   */
  public GenerationResult ask(String question) {
    return generate(request(question), TokenSink.NONE);
  }

  /**
   * Returns a request to answer a question about this context, to be changed in what belongs to the
   * question alone: its words, sampling, most tokens, stop strings, cancellation.
   */
  public GenerationRequest request(String question) {
    GenerationRequest read = held.request();
    GenerationRequest request =
        GenerationRequest.ask(String.valueOf(read.text()), question)
            .withChat(read.chat())
            .withRopeScaling(read.ropeScaling());
    if (read.plan() != null) {
      request = request.withPlan(read.plan());
    }
    return read.form() == null ? request : request.withForm(read.form());
  }

  /**
   * Answers a question. The result's figures count the question alone: nothing is prefilled but the
   * question and the words around it.
   *
   * @param request its text, plan, words before the text, chat template and position scaling are
   *     those by which this context was read, see {@link #request}
   * @param sink hears the answer while it grows
   * @throws InferenceException with one sentence for the user, also where question and answer do
   *     not fit behind the context; the context stays usable
   */
  public GenerationResult generate(GenerationRequest request, TokenSink sink) {
    synchronized (engine) {
      engine.requireOpen();
      return held.generate(request, sink);
    }
  }

  /**
   * Decodes a given answer to a question, as {@link Engine#score} does.
   *
   * @throws InferenceException as {@link #generate}
   */
  public GenerationResult score(
      GenerationRequest request, List<Integer> continuation, LogitsSink sink) {
    synchronized (engine) {
      engine.requireOpen();
      return held.score(request, continuation, sink);
    }
  }

  /** Returns what the reading cost, before any question. */
  public Figures figures() {
    return held.figures();
  }

  /** Returns the kept chunks in document order. */
  public List<Citation> citations() {
    return held.citations();
  }

  /** Returns what became of the text's keys and values. */
  public CacheReport cache() {
    return held.cache();
  }

  /** Returns what the caller should know, each in one sentence. */
  public List<String> warnings() {
    return held.warnings();
  }

  /** Frees the context's memory; closing twice is harmless. */
  @Override
  public void close() {
    synchronized (engine) {
      // The engine's own end has freed it already.
      if (!engine.isClosed()) {
        held.close();
      }
    }
  }
}
