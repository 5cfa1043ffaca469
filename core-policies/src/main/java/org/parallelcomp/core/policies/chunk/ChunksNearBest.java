package org.parallelcomp.core.policies.chunk;

import java.util.List;
import org.parallelcomp.api.policy.ChunkEvictionPolicy;
import org.parallelcomp.api.policy.ChunkEvictionRequest;
import org.parallelcomp.api.policy.Parameter;
import org.parallelcomp.api.policy.PolicyFactory;
import org.parallelcomp.api.policy.PolicyKind;

/**
 * Keeps the best chunk and those whose worth comes close to it.
 *
 * <p>Where one chunk stands out, it stays alone; where several are about as good, because what is
 * asked for stands in several places or because none is sure, they all stay, up to a number. The
 * gap is measured from the best chunk, in the unit of the scores: nats per token of the question
 * for {@code self-information}.
 *
 * <p><i>Based on</i> ParallelComp, <a href="https://arxiv.org/abs/2502.14317">arXiv 2502.14317</a>,
 * section 3.2.
 *
 * <p>Parameters: {@code most} = 4 chunks; {@code gap} = 0.5, how far below the best a chunk may be.
 *
 * <p><i>Differs from the paper in</i> the number of chunks, which is fixed there.
 */
public final class ChunksNearBest implements ChunkEvictionPolicy {
  /** Makes the policy {@code gap}. */
  public static final PolicyFactory<ChunkEvictionPolicy> FACTORY =
      new PolicyFactory<>(
          PolicyKind.CHUNK_EVICTION,
          "gap",
          "Keeps the best chunk and those whose worth comes close to it.",
          "One chunk where one stands out, several where they are about as good. Based on"
              + " ParallelComp (arXiv 2502.14317); differs in the number, which is fixed there.",
          List.of(
              Parameter.integer("most", 4, 1, "chunks", "how many are kept at most"),
              Parameter.number(
                  "gap",
                  0.5,
                  0,
                  1e9,
                  "nats",
                  "how far below the best a chunk may be, in the unit of its score")),
          p -> new ChunksNearBest(p.integer("most"), p.number("gap")));

  private final int most;
  private final double gap;

  private ChunksNearBest(int most, double gap) {
    this.most = most;
    this.gap = gap;
  }

  @Override
  public Queue start(ChunkEvictionRequest request) {
    return RankedQueue.ofMost(most, request, this::close);
  }

  private int close(List<RankedQueue.Scored> bestFirst) {
    double least = bestFirst.getFirst().score() - gap;
    return Math.max(1, (int) bestFirst.stream().filter(s -> s.score() >= least).count());
  }
}
