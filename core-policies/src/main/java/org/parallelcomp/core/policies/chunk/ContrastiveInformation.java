package org.parallelcomp.core.policies.chunk;

import java.util.List;
import java.util.Set;
import org.parallelcomp.api.evidence.ChunkEvidence;
import org.parallelcomp.api.evidence.Evidence;
import org.parallelcomp.api.policy.ChunkScorer;
import org.parallelcomp.api.policy.PolicyFactory;
import org.parallelcomp.api.policy.PolicyKind;

/**
 * A chunk is worth what it makes the question less surprising than no chunk at all does.
 *
 * <p>The score is {@code I_∅ - I_c}: the mean log-probability of the question's own tokens behind
 * the chunk, less that behind the prompt alone. It ranks chunks as {@link SelfInformation} does;
 * its zero is where a chunk explains nothing, which a threshold can use.
 *
 * <p><i>Based on</i> ParallelComp, <a href="https://arxiv.org/abs/2502.14317">arXiv 2502.14317</a>,
 * equations 3 and 4.
 *
 * <p>Parameters: none.
 *
 * <p><i>Differs from the paper in</i> the zero, which the paper sets by hand for each model.
 */
public final class ContrastiveInformation implements ChunkScorer {
  /** Makes the policy {@code contrastive}. */
  public static final PolicyFactory<ChunkScorer> FACTORY =
      new PolicyFactory<>(
          PolicyKind.CHUNK_SCORER,
          "contrastive",
          "What a chunk makes the question less surprising than no chunk at all does.",
          "Mean log-probability of the question's tokens behind the chunk, less that behind no"
              + " chunk. Ranks as self-information; for thresholds. Based on ParallelComp (arXiv"
              + " 2502.14317, equations 3 and 4); differs in the zero.",
          List.of(),
          p -> new ContrastiveInformation());

  private ContrastiveInformation() {}

  @Override
  public Set<Evidence> requires() {
    return Set.of(Evidence.QUESTION_LIKELIHOOD, Evidence.QUESTION_PRIOR);
  }

  @Override
  public double score(ChunkEvidence evidence) {
    return mean(evidence.questionLogLikelihoods()) - mean(evidence.priorLogLikelihoods());
  }

  private static double mean(List<Float> logLikelihoods) {
    return logLikelihoods.stream().mapToDouble(Float::doubleValue).average().orElse(Double.NaN);
  }
}
