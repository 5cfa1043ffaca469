package org.parallelcomp.core.policies.chunk;

import java.util.List;
import org.parallelcomp.api.policy.Chunk;
import org.parallelcomp.api.policy.ChunkEvictionPolicy;
import org.parallelcomp.api.policy.ChunkEvictionRequest;
import org.parallelcomp.api.policy.Parameter;
import org.parallelcomp.api.policy.PolicyFactory;
import org.parallelcomp.api.policy.PolicyKind;

/**
 * Keeps the best chunks as long as they have no more than so many tokens together.
 *
 * <p>The chunks are taken in the order of their worth until the next one does not fit; the best
 * stays in any case. Suits chunks of different lengths.
 *
 * <p><i>Based on</i> ParallelComp, <a href="https://arxiv.org/abs/2502.14317">arXiv 2502.14317</a>,
 * section 3.2.
 *
 * <p>Parameters: {@code keep} = 1024 tokens.
 *
 * <p><i>Differs from the paper in</i> counting tokens instead of chunks.
 */
public final class ChunksOfTokens implements ChunkEvictionPolicy {
  /** Makes the policy {@code tokens}. */
  public static final PolicyFactory<ChunkEvictionPolicy> FACTORY =
      new PolicyFactory<>(
          PolicyKind.CHUNK_EVICTION,
          "tokens",
          "Keeps the best chunks as long as they have no more than so many tokens together.",
          "In the order of their worth until the next one does not fit. Based on ParallelComp"
              + " (arXiv 2502.14317); differs in counting tokens.",
          List.of(
              Parameter.integer("keep", 1024, 1, "tokens", "tokens of all kept chunks together")),
          p -> new ChunksOfTokens(p.integer("keep")));

  private final int keep;

  private ChunksOfTokens(int keep) {
    this.keep = keep;
  }

  @Override
  public Queue start(ChunkEvictionRequest request) {
    List<Chunk> chunks = request.chunks();
    int longest = chunks.stream().mapToInt(Chunk::tokens).max().orElse(0);
    long all = chunks.stream().mapToLong(Chunk::tokens).sum();
    RankedQueue.requireRoom(Math.max(longest, Math.min(keep, all)), request);
    return new RankedQueue(
        most(chunks.stream().map(Chunk::tokens).sorted().toList()),
        bestFirst ->
            Math.max(
                1, fitting(bestFirst.stream().map(s -> chunks.get(s.chunk()).tokens()).toList())));
  }

  /** Returns how many chunks could stay at most, their lengths given in ascending order. */
  private int most(List<Integer> shortestFirst) {
    return Math.min(shortestFirst.size(), Math.max(1, fitting(shortestFirst)));
  }

  /** Returns how many of the lengths fit, one after the other. */
  private int fitting(List<Integer> lengths) {
    long tokens = 0;
    int count = 0;
    while (count < lengths.size() && tokens + lengths.get(count) <= keep) {
      tokens += lengths.get(count);
      count++;
    }
    return count;
  }
}
