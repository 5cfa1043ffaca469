package org.parallelcomp.engine.generate;

import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.function.Consumer;
import org.parallelcomp.api.backend.Backend;
import org.parallelcomp.api.tensor.Tensor;
import org.parallelcomp.engine.Cancellation;
import org.parallelcomp.engine.FinishReason;
import org.parallelcomp.engine.model.Decoder;
import org.parallelcomp.engine.model.SequenceInput;
import org.parallelcomp.engine.text.TokenDecoder;

/** Draws token after token until the answer ends. */
final class AnswerLoop {
  private final Backend backend;
  private final Decoder decoder;
  private final NextToken nextToken;
  private final Set<Integer> stopTokens;
  private final TokenDecoder tokenDecoder;
  private final AnswerText text;
  private final int maxTokens;
  private final Cancellation cancellation;
  private final List<Integer> tokenIds = new ArrayList<>();

  AnswerLoop(
      Backend backend,
      Decoder decoder,
      NextToken nextToken,
      Set<Integer> stopTokens,
      TokenDecoder tokenDecoder,
      AnswerText text,
      int maxTokens,
      Cancellation cancellation) {
    this.backend = backend;
    this.decoder = decoder;
    this.nextToken = nextToken;
    this.stopTokens = stopTokens;
    this.tokenDecoder = tokenDecoder;
    this.text = text;
    this.maxTokens = maxTokens;
    this.cancellation = cancellation;
  }

  /**
   * Runs to the end.
   *
   * @param hidden state of the last token before the answer, {@code [1, hiddenDim]}
   * @param caches what the answer attends to, behind that token
   * @param onToken hears how many tokens there are after each one
   */
  FinishReason run(Tensor hidden, DecodingCaches caches, Consumer<Integer> onToken) {
    Tensor last = hidden;
    while (true) {
      if (cancellation.isCancelled()) {
        return FinishReason.CANCELLED;
      }
      int token =
          nextToken.takesTheMostLikely()
              ? decoder.mostLikely(last)
              : nextToken.next(backend.host().copyToHostFloats(decoder.logits(last)));
      if (stopTokens.contains(token)) {
        return FinishReason.STOP_TOKEN;
      }
      tokenIds.add(token);
      boolean stopped = text.append(tokenDecoder.accept(token));
      onToken.accept(tokenIds.size());
      if (stopped) {
        return FinishReason.STOP_STRING;
      }
      if (tokenIds.size() == maxTokens) {
        return FinishReason.MAX_TOKENS;
      }
      var step = new SequenceInput(new int[] {token}, caches.nextPosition(), 1, caches);
      last = decoder.forward(List.of(step)).getFirst();
      caches.afterToken();
    }
  }

  /** Returns the tokens of the answer so far. */
  List<Integer> tokenIds() {
    return List.copyOf(tokenIds);
  }
}
