package org.parallelcomp.core.policies.chunk;

import java.util.List;
import org.parallelcomp.api.policy.ChunkEvictionPolicy;
import org.parallelcomp.api.policy.ChunkEvictionRequest;
import org.parallelcomp.api.policy.Parameter;
import org.parallelcomp.api.policy.PolicyFactory;
import org.parallelcomp.api.policy.PolicyKind;

/**
 * Keeps the chunks that are worth most.
 *
 * <p>A queue of fixed size takes the chunks as they are scored; when it overflows, the worst chunk
 * goes, so that at most one more chunk than are kept is held at any time. Of equal chunks the
 * earlier one stays; a score that is not a number ranks lowest.
 *
 * <p><i>Based on</i> the fixed-size priority queue of ParallelComp, <a
 * href="https://arxiv.org/abs/2502.14317">arXiv 2502.14317</a>, section 3.2.
 *
 * <p>Parameters: {@code chunks} = 1 chunk, how many are kept.
 *
 * <p><i>Differs from the paper in</i> having no threshold on the score (its equation 4), as the
 * released code.
 */
public final class BestChunks implements ChunkEvictionPolicy {
  /** Makes the policy {@code best}. */
  public static final PolicyFactory<ChunkEvictionPolicy> FACTORY =
      new PolicyFactory<>(
          PolicyKind.CHUNK_EVICTION,
          "best",
          "Keeps the chunks that are worth most.",
          "A queue of fixed size, decided while the chunks are scored; of equal chunks the earlier"
              + " stays. Based on ParallelComp (arXiv 2502.14317); differs in having no threshold.",
          List.of(Parameter.integer("chunks", 1, 1, "chunks", "how many chunks are kept")),
          p -> new BestChunks(p.integer("chunks")));

  private final int chunks;

  private BestChunks(int chunks) {
    this.chunks = chunks;
  }

  @Override
  public Queue start(ChunkEvictionRequest request) {
    return RankedQueue.ofMost(chunks, request, List::size);
  }
}
