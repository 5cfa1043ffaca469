package org.parallelcomp.engine;

import java.util.List;

/**
 * A kept chunk: a passage that the answer was decoded from.
 *
 * @param chunk its index, from 0 in document order
 * @param fromChar its first character (UTF-16) in the source text
 * @param toChar the end (exclusive) of its characters
 * @param tokens how many tokens it has
 * @param selfInformation mean negative log-probability of the question's tokens given the chunk, in
 *     nats; the lower, the better the chunk explains the question. NaN if it was not computed
 * @param keptTokensPerLayer how many of its tokens each layer kept, on average over the kv heads
 * @param text the passage itself
 */
public record Citation(
    int chunk,
    int fromChar,
    int toChar,
    int tokens,
    double selfInformation,
    List<Double> keptTokensPerLayer,
    String text) {
  public Citation {
    keptTokensPerLayer = List.copyOf(keptTokensPerLayer);
  }
}
