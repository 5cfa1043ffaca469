package org.parallelcomp.core.policies.chunk;

import java.util.List;
import org.parallelcomp.api.policy.ChunkEvictionPolicy;
import org.parallelcomp.api.policy.ChunkEvictionRequest;
import org.parallelcomp.api.policy.Parameter;
import org.parallelcomp.api.policy.PolicyFactory;
import org.parallelcomp.api.policy.PolicyKind;

/**
 * Keeps the best chunks whose worth reaches a threshold, perhaps none.
 *
 * <p>Meant for scores with a zero that means something: with {@code contrastive} a chunk below 0
 * makes the question more surprising than no chunk at all. If none reaches the threshold, none
 * stays, and the answer is that nothing explains the question.
 *
 * <p><i>Based on</i> ParallelComp, <a href="https://arxiv.org/abs/2502.14317">arXiv 2502.14317</a>,
 * equation 4.
 *
 * <p>Parameters: {@code least} = 0, the lowest worth that stays; {@code most} = 4 chunks.
 *
 * <p><i>Differs from the paper in</i> a threshold that does not depend on the model.
 */
public final class ChunksAboveThreshold implements ChunkEvictionPolicy {
  /** Makes the policy {@code threshold}. */
  public static final PolicyFactory<ChunkEvictionPolicy> FACTORY =
      new PolicyFactory<>(
          PolicyKind.CHUNK_EVICTION,
          "threshold",
          "Keeps the best chunks whose worth reaches a threshold, perhaps none.",
          "With the chunk scorer contrastive, 0 is where a chunk explains nothing. Based on"
              + " ParallelComp (arXiv 2502.14317, equation 4); differs in a threshold that does not"
              + " depend on the model.",
          List.of(
              Parameter.number(
                  "least", 0, -1e9, 1e9, "nats", "lowest worth that stays, in its score's unit"),
              Parameter.integer("most", 4, 1, "chunks", "how many are kept at most")),
          p -> new ChunksAboveThreshold(p.number("least"), p.integer("most")));

  private final double least;
  private final int most;

  private ChunksAboveThreshold(double least, int most) {
    this.least = least;
    this.most = most;
  }

  @Override
  public Queue start(ChunkEvictionRequest request) {
    return RankedQueue.ofMost(
        most,
        request,
        bestFirst -> (int) bestFirst.stream().filter(s -> s.score() >= least).count());
  }
}
