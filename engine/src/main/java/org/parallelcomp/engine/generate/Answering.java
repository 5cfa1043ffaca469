package org.parallelcomp.engine.generate;

import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.parallelcomp.api.tensor.Tensor;
import org.parallelcomp.engine.CacheReport;
import org.parallelcomp.engine.Figures;
import org.parallelcomp.engine.FinishReason;
import org.parallelcomp.engine.GenerationRequest;
import org.parallelcomp.engine.GenerationResult;
import org.parallelcomp.engine.Progress;
import org.parallelcomp.engine.Progress.Phase;
import org.parallelcomp.engine.TokenSink;
import org.parallelcomp.engine.model.Decoder;
import org.parallelcomp.engine.text.PromptParts;
import org.parallelcomp.engine.text.TokenDecoder;

/** One answer, from the state behind its question to its text. */
final class Answering {
  private final ModelParts parts;
  private final GenerationRequest request;
  private final TokenSink sink;
  private final @Nullable NextToken given;
  private final AnswerText answer;
  private final long started = System.nanoTime();
  private List<Integer> answerIds = List.of();
  private long waitedNanos;
  private long decodeNanos;
  private long firstTokenNanos;
  private @Nullable DecodingCaches decoded;
  private long finalBytes;

  /**
   * @param given says the tokens of the answer, or null if they are drawn
   */
  Answering(
      ModelParts parts, GenerationRequest request, TokenSink sink, @Nullable NextToken given) {
    this.parts = parts;
    this.request = request;
    this.sink = sink;
    this.given = given;
    this.answer = new AnswerText(request.stopStrings(), sink);
  }

  /**
   * Draws the answer.
   *
   * @param hidden state of the last token before the answer, {@code [1, hiddenDim]}
   * @param queryIds the question with its words
   */
  FinishReason decode(Decoder decoder, DecodingCaches caches, Tensor hidden, int[] queryIds) {
    var event = new PhaseEvents.Decode();
    event.begin();
    long begin = System.nanoTime();
    TokenDecoder characters = parts.tokenizer().decoder();
    var loop =
        new AnswerLoop(
            parts.backend(),
            decoder,
            given != null ? given : new Sampler(request.sampling(), queryIds),
            given != null ? Set.of() : parts.source().tokenizer().stopTokens(),
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
              sink.onProgress(
                  new Progress(
                      Phase.DECODE,
                      tokens,
                      request.maxTokens(),
                      tokens,
                      System.nanoTime() - begin));
            });
    answer.append(characters.finish());
    answerIds = loop.tokenIds();
    decoded = caches;
    finalBytes = caches.bytes();
    // A backend that works behind the caller's back has only now done what was asked before.
    long first = firstTokenNanos == 0 ? begin : started + firstTokenNanos;
    waitedNanos = first - begin;
    decodeNanos = System.nanoTime() - first;
    event.answerTokens = answerIds.size();
    event.commit();
    return reason;
  }

  /**
   * Returns the result.
   *
   * @param reading what the answer was decoded from
   * @param prompt the words around the text and this question
   * @param cost what it took until this question had been read
   */
  GenerationResult result(
      FinishReason reason, Reading reading, PromptParts prompt, Reading.Cost cost) {
    Figures read = reading.figures(prompt, cost);
    var figures =
        new Figures(
            read.textTokens(),
            read.promptTokens(),
            read.prefilledTokens(),
            answerIds.size(),
            read.chunks(),
            read.keptChunks(),
            read.fullCacheBytes(),
            read.keptCacheBytes(),
            read.readNanos(),
            read.prefillNanos(),
            read.mergeNanos() + waitedNanos,
            decodeNanos,
            firstTokenNanos);
    CacheReport report = reading.cacheReport();
    return new GenerationResult(
        answer.finish(),
        answerIds,
        reason,
        reading.citations(),
        figures,
        decoded == null
            ? report
            : new CacheReport(report.compression(), report.layers(), finalBytes, decoded.cuts()),
        reading.plan(),
        parts.form(request),
        request.sampling(),
        parts.source().name(),
        parts.backend().info().id(),
        reading.warnings(),
        reading.tracer().trace(reading.chunks(), reading.text()));
  }
}
