package org.parallelcomp.core.policies.chunk;

import java.util.List;
import java.util.Set;
import java.util.SplittableRandom;
import org.parallelcomp.api.evidence.ChunkEvidence;
import org.parallelcomp.api.evidence.Evidence;
import org.parallelcomp.api.policy.ChunkScorer;
import org.parallelcomp.api.policy.Parameter;
import org.parallelcomp.api.policy.PolicyFactory;
import org.parallelcomp.api.policy.PolicyKind;

/**
 * Chunks are worth what the dice say: the control that a real scorer must beat.
 *
 * <p>The score is a uniform number in [0, 1) that depends on the seed and the chunk's index alone.
 * So it is the same in every run and in whatever order the chunks come.
 *
 * <p><i>Based on</i> the random selection that ParallelComp is compared with, <a
 * href="https://arxiv.org/abs/2502.14317">arXiv 2502.14317</a>.
 *
 * <p>Parameters: {@code seed} = 0.
 *
 * <p><i>Differs from the paper in</i> being repeatable.
 */
public final class RandomChunkScore implements ChunkScorer {
  /** Makes the policy {@code random}. */
  public static final PolicyFactory<ChunkScorer> FACTORY =
      new PolicyFactory<>(
          PolicyKind.CHUNK_SCORER,
          "random",
          "Random worth, the control that a real scorer must beat.",
          "A uniform number that depends on the seed and the chunk's index alone. No paper.",
          List.of(Parameter.integer("seed", 0, Long.MIN_VALUE, "", "seed of the random numbers")),
          p -> new RandomChunkScore(p.longInteger("seed")));

  private final long base;

  private RandomChunkScore(long seed) {
    // Mixed once, or seed s would give to chunk c + 1 what seed s + 1 gives to chunk c.
    this.base = new SplittableRandom(seed).nextLong();
  }

  @Override
  public Set<Evidence> requires() {
    return Set.of();
  }

  @Override
  public double score(ChunkEvidence evidence) {
    return new SplittableRandom(base + evidence.chunk()).nextDouble();
  }
}
