package org.parallelcomp.engine.generate;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.tensor.Tensor;
import org.parallelcomp.engine.CacheReport;
import org.parallelcomp.engine.Citation;
import org.parallelcomp.engine.Figures;
import org.parallelcomp.engine.FinishReason;
import org.parallelcomp.engine.GenerationRequest;
import org.parallelcomp.engine.GenerationResult;
import org.parallelcomp.engine.LogitsSink;
import org.parallelcomp.engine.Progress;
import org.parallelcomp.engine.Progress.Phase;
import org.parallelcomp.engine.TokenSink;
import org.parallelcomp.engine.model.Decoder;
import org.parallelcomp.engine.model.LoadedModel;
import org.parallelcomp.engine.text.PromptParts;

/** A context that was read once, and answers questions until it is closed. */
public final class HeldContext implements AutoCloseable {
  private final ModelParts parts;
  private final Reading reading;
  private final @Nullable HeldCaches caches;
  private boolean closed;

  /**
   * @param caches of the context, or null if no chunk was kept
   */
  HeldContext(ModelParts parts, Reading reading, @Nullable HeldCaches caches) {
    this.parts = parts;
    this.reading = reading;
    this.caches = caches;
  }

  /** Returns the request by which the text was read. */
  public GenerationRequest request() {
    return reading.request();
  }

  /** Returns what the reading cost. */
  public Figures figures() {
    return reading.figures(reading.prompt(), reading.cost());
  }

  /** Returns the kept chunks in document order. */
  public List<Citation> citations() {
    return reading.citations();
  }

  /** Returns what became of the text's keys and values. */
  public CacheReport cache() {
    return reading.cacheReport();
  }

  /** Returns what the caller should know. */
  public List<String> warnings() {
    return List.copyOf(reading.warnings());
  }

  /** Answers a question. */
  public GenerationResult generate(GenerationRequest request, TokenSink sink) {
    return run(request, sink, null);
  }

  /** Decodes given tokens as the answer to a question. */
  public GenerationResult score(
      GenerationRequest request, List<Integer> continuation, LogitsSink sink) {
    return run(
        Generator.scored(request, continuation),
        TokenSink.NONE,
        new GivenTokens(continuation, sink));
  }

  private GenerationResult run(
      GenerationRequest request, TokenSink sink, @Nullable NextToken given) {
    if (closed) {
      throw new InferenceException(ErrorCode.INVALID_ARGUMENT, "The context has been closed.");
    }
    ModelParts.requireQuestion(request);
    requireSameContext(request);
    var answering = new Answering(parts, request, sink, given);
    long begin = System.nanoTime();
    PromptParts prompt =
        parts.promptBuilder().build(parts.form(request), request.question(), request.chat());
    long readNanos = System.nanoTime() - begin;
    reading.warnings().forEach(sink::onWarning);
    if (caches == null) {
      return answering.result(
          FinishReason.NO_CHUNK_KEPT, reading, prompt, new Reading.Cost(0, readNanos, 0, 0));
    }
    Session session = reading.first();
    LoadedModel model = parts.models().getFirst();
    FinishReason reason;
    long mergeNanos = 0;
    long passed = 0;
    try (var decoder =
        new Decoder(
            session.backend(),
            session.decoder().config(),
            model.weights(),
            session.scope(),
            session.decoder().rope())) {
      RequestCancelled.check(request.cancellation());
      makeRoom(decoder, prompt.query().length, request.maxTokens());
      long asked = System.nanoTime();
      Tensor hidden =
          caches.run(
              decoder,
              prompt.query(),
              request.cancellation(),
              progress(sink, prompt.query().length, asked));
      mergeNanos = System.nanoTime() - asked;
      passed = decoder.tokensRun();
      reason = answering.decode(decoder, caches, hidden, prompt.query());
    } catch (RequestCancelled e) {
      reason = FinishReason.CANCELLED;
    } catch (InferenceException e) {
      throw MemoryPlan.withAdvice(e);
    } finally {
      caches.rewind();
    }
    return answering.result(
        reason, reading, prompt, new Reading.Cost(passed, readNanos, 0, mergeNanos));
  }

  private static BlockPrefill.Listener progress(TokenSink sink, int tokens, long begin) {
    return new BlockPrefill.Listener() {
      @Override
      public void beforeLastBlock() {}

      @Override
      public void afterBlock(int done) {
        sink.onProgress(new Progress(Phase.MERGE, done, tokens, done, System.nanoTime() - begin));
      }
    };
  }

  /** A context answers what is asked about its own text only. */
  private void requireSameContext(GenerationRequest request) {
    GenerationRequest read = reading.request();
    var differences = new ArrayList<String>();
    if (!Objects.equals(request.text(), read.text())) {
      differences.add("text");
    }
    if (!parts.plan(request).equals(reading.plan())) {
      differences.add("plan");
    }
    if (!parts.form(request).instruction().equals(reading.form().instruction())) {
      differences.add("instruction");
    }
    if (request.chat() != read.chat()) {
      differences.add("chat template");
    }
    if (!request.ropeScaling().equals(read.ropeScaling())) {
      differences.add("position scaling");
    }
    if (!differences.isEmpty()) {
      throw new InferenceException(
          ErrorCode.INVALID_ARGUMENT,
          "A context answers questions as it was read; another "
              + String.join(" and ", differences)
              + " must be read anew.");
    }
    if (request.traced()) {
      throw new InferenceException(
          ErrorCode.INVALID_ARGUMENT,
          "A question about a context that has been read cannot be traced; ask the engine.");
    }
  }

  private void makeRoom(Decoder decoder, int queryTokens, int answerTokens) {
    HeldCaches held = Objects.requireNonNull(caches);
    long needed = (long) queryTokens + answerTokens;
    long positions = decoder.rope().positions() - (long) held.positionBehind();
    if (needed > positions) {
      throw new InferenceException(
          ErrorCode.INVALID_ARGUMENT,
          "The question with its prompt takes "
              + queryTokens
              + " tokens and the answer up to "
              + answerTokens
              + ", but behind the context there is room for "
              + positions
              + "; allow a shorter answer, or read the text with more room.");
    }
    int layers = decoder.config().layers();
    long copied = held.room() < needed ? needed + (held.longest() + needed) / layers + 1 : 0;
    MemoryPlan.of(
            parts.format(),
            parts.source().weightBytes(),
            copied,
            Math.min(queryTokens, decoder.blockTokens()))
        .requireFits(parts.backend().info().freeBytes());
    held.makeRoom((int) needed);
  }

  /** Frees the context. */
  @Override
  public void close() {
    if (!closed) {
      closed = true;
      reading.close();
    }
  }
}
