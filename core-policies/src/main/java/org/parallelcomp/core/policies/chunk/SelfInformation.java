package org.parallelcomp.core.policies.chunk;

import java.util.List;
import java.util.Set;
import org.parallelcomp.api.evidence.ChunkEvidence;
import org.parallelcomp.api.evidence.Evidence;
import org.parallelcomp.api.policy.ChunkScorer;
import org.parallelcomp.api.policy.PolicyFactory;
import org.parallelcomp.api.policy.PolicyKind;

/**
 * A chunk is worth the more, the less the question surprises a reader of that chunk.
 *
 * <p>The chunk is prefilled with the question behind it. The score is {@code -I_c}, the mean
 * log-probability that the model gives to the question's own tokens there. The chunk that holds
 * what is asked for makes the question likely.
 *
 * <p><i>Based on</i> ParallelComp, <a href="https://arxiv.org/abs/2502.14317">arXiv 2502.14317</a>,
 * equation 3.
 *
 * <p>Parameters: none.
 *
 * <p><i>Differs from the paper in</i> the mean in place of the sum, which ranks alike, and in
 * counting the question's own tokens only, not those of the chat template around it.
 */
public final class SelfInformation implements ChunkScorer {
  /** Makes the policy {@code self-information}. */
  public static final PolicyFactory<ChunkScorer> FACTORY =
      new PolicyFactory<>(
          PolicyKind.CHUNK_SCORER,
          "self-information",
          "The chunk that makes the question most likely is worth most.",
          "Mean log-probability of the question's own tokens behind the chunk (-I_c). Based on"
              + " ParallelComp (arXiv 2502.14317, equation 3); differs in the mean, which ranks"
              + " alike, and in leaving the chat template's tokens out.",
          List.of(),
          p -> new SelfInformation());

  private SelfInformation() {}

  @Override
  public Set<Evidence> requires() {
    return Set.of(Evidence.QUESTION_LIKELIHOOD);
  }

  @Override
  public double score(ChunkEvidence evidence) {
    return evidence.questionLogLikelihoods().stream()
        .mapToDouble(Float::doubleValue)
        .average()
        .orElse(Double.NaN);
  }
}
