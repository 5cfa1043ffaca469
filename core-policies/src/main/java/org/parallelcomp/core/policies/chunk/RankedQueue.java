package org.parallelcomp.core.policies.chunk;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.policy.Chunk;
import org.parallelcomp.api.policy.ChunkEvictionPolicy;
import org.parallelcomp.api.policy.ChunkEvictionRequest;

/**
 * The chunks that stay so far, in the order of their worth: the best first, of equal ones the
 * earlier, a score that is not a number last. A rule says how many of them stay; the others go at
 * once, and with them everything that ranks behind one that has gone. So what stays is the
 * beginning of the whole ranking, whatever the order in which the chunks come.
 */
final class RankedQueue implements ChunkEvictionPolicy.Queue {
  /** A chunk and what it is worth. */
  record Scored(int chunk, double score) {
    private static final Comparator<Scored> BEST_FIRST =
        Comparator.comparing((Scored s) -> Double.isNaN(s.score))
            // Adding zero makes -0 equal to 0.
            .thenComparing(s -> s.score + 0.0, Comparator.reverseOrder())
            .thenComparing(Scored::chunk);
  }

  /** Says how many chunks stay. */
  @FunctionalInterface
  interface Rule {
    /** Returns how many of the chunks stay, counted from the best. */
    int stay(List<Scored> bestFirst);
  }

  private final int capacity;
  private final Rule rule;
  private final List<Scored> bestFirst = new ArrayList<>();
  private @Nullable Scored bestGone;

  /**
   * @param capacity the most that stay, whatever the rule says
   */
  RankedQueue(int capacity, Rule rule) {
    this.capacity = capacity;
    this.rule = rule;
  }

  /**
   * Returns the queue of a number of chunks.
   *
   * @throws InferenceException INVALID_ARGUMENT if so many of the longest do not fit together
   */
  static RankedQueue ofMost(int most, ChunkEvictionRequest request, Rule rule) {
    int capacity = Math.min(most, request.chunks().size());
    long longest = request.chunks().stream().mapToInt(Chunk::tokens).max().orElse(0);
    requireRoom(capacity * longest, request);
    return new RankedQueue(capacity, rule);
  }

  /** Refuses more tokens than can be kept together. */
  static void requireRoom(long tokens, ChunkEvictionRequest request) {
    if (tokens > request.maxKeptTokens()) {
      throw new InferenceException(
          ErrorCode.INVALID_ARGUMENT,
          "Up to "
              + tokens
              + " tokens of kept chunks would be read once more, but the model's window has room for"
              + " "
              + request.maxKeptTokens()
              + "; keep fewer chunks or make them smaller.");
    }
  }

  @Override
  public int capacity() {
    return capacity;
  }

  @Override
  public List<Integer> offer(int chunk, double score) {
    bestFirst.add(new Scored(chunk, score));
    bestFirst.sort(Scored.BEST_FIRST);
    int stay = Math.min(Math.min(capacity, beforeGone()), rule.stay(bestFirst));
    List<Scored> gone = bestFirst.subList(stay, bestFirst.size());
    if (stay < beforeGone()) {
      bestGone = gone.getFirst();
    }
    List<Integer> evicted = gone.stream().map(Scored::chunk).toList();
    gone.clear();
    return evicted;
  }

  /** Returns how many rank before everything that has gone. */
  private int beforeGone() {
    Scored gone = bestGone;
    return gone == null
        ? bestFirst.size()
        : (int) bestFirst.stream().filter(s -> Scored.BEST_FIRST.compare(s, gone) < 0).count();
  }

  @Override
  public List<Integer> kept() {
    return bestFirst.stream().map(Scored::chunk).sorted().toList();
  }
}
