package org.parallelcomp.core.policies.chunk;

import java.util.List;
import java.util.Set;
import org.parallelcomp.api.evidence.ChunkEvidence;
import org.parallelcomp.api.evidence.Evidence;
import org.parallelcomp.api.policy.ChunkScorer;
import org.parallelcomp.api.policy.PolicyFactory;
import org.parallelcomp.api.policy.PolicyKind;

/**
 * Every chunk is worth the same.
 *
 * <p>The score is 0. Nothing is observed, so the question need not be prefilled behind a chunk. An
 * eviction that keeps few chunks then keeps the first ones.
 *
 * <p><i>Based on</i> no paper.
 *
 * <p>Parameters: none.
 */
public final class ConstantChunkScore implements ChunkScorer {
  /** Makes the policy {@code none}. */
  public static final PolicyFactory<ChunkScorer> FACTORY =
      new PolicyFactory<>(
          PolicyKind.CHUNK_SCORER,
          "none",
          "Every chunk is worth the same; nothing is computed.",
          "For plans that keep all chunks. No paper.",
          List.of(),
          p -> new ConstantChunkScore());

  private ConstantChunkScore() {}

  @Override
  public Set<Evidence> requires() {
    return Set.of();
  }

  @Override
  public double score(ChunkEvidence evidence) {
    return 0;
  }
}
