package org.parallelcomp.engine;

import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What was seen on the way of a request over a text: how every chunk was scored, which tokens each
 * layer and kv head kept, and where the question's attention went. Collected only for a request
 * that is {@link GenerationRequest#traced traced}, which copies a number per key, kv head and layer
 * to the host and changes nothing else. The arrays in it must not be changed.
 *
 * @param chunks every chunk, in document order
 * @param fromChar first character (UTF-16) of each token of the text, {@code [textTokens]}
 * @param toChar end (exclusive) of each token's characters, {@code [textTokens]}
 * @param chunkPasses the kept chunks as each was read on its own and cut, in document order; empty
 *     where chunks were not cut on their own
 * @param answerPass the question behind everything that was kept, which the answer was decoded
 *     from; null if the request ended before
 */
public record Trace(
    List<ChunkTrace> chunks,
    int[] fromChar,
    int[] toChar,
    List<PassTrace> chunkPasses,
    @Nullable PassTrace answerPass) {
  public Trace {
    chunks = List.copyOf(chunks);
    chunkPasses = List.copyOf(chunkPasses);
  }

  /**
   * A chunk, kept or not.
   *
   * @param chunk its index, from 0 in document order
   * @param fromToken its first token in the text
   * @param toToken the end (exclusive) of its tokens
   * @param score what the chunk scorer said, the higher the better; NaN if it was not asked
   * @param selfInformation mean negative log-probability of the question's tokens given the chunk,
   *     in nats; NaN if it was not computed
   * @param kept whether some of its tokens were kept when the answer began
   */
  public record ChunkTrace(
      int chunk, int fromToken, int toToken, double score, double selfInformation, boolean kept) {}
}
