package org.parallelcomp.core.policies.score;

import java.util.List;
import java.util.Set;
import java.util.SplittableRandom;
import org.parallelcomp.api.backend.TensorOps;
import org.parallelcomp.api.evidence.Evidence;
import org.parallelcomp.api.evidence.LayerEvidence;
import org.parallelcomp.api.policy.Parameter;
import org.parallelcomp.api.policy.PolicyFactory;
import org.parallelcomp.api.policy.PolicyKind;
import org.parallelcomp.api.policy.TokenScorer;
import org.parallelcomp.api.tensor.Shape;
import org.parallelcomp.api.tensor.Tensor;

/**
 * Tokens matter as the dice say: the control that a real scorer must beat.
 *
 * <p>The score is a uniform number in [0, 1) that depends on the seed, the layer, the head and the
 * position alone. So every layer and head keeps other tokens, and every run the same.
 *
 * <p><i>Based on</i> no paper.
 *
 * <p>Parameters: {@code seed} = 0.
 */
public final class RandomTokenScore implements TokenScorer {
  /** Makes the policy {@code random}. */
  public static final PolicyFactory<TokenScorer> FACTORY =
      new PolicyFactory<>(
          PolicyKind.TOKEN_SCORER,
          "random",
          "Random worth, the control that a real scorer must beat.",
          "A uniform number that depends on the seed, the layer, the head and the position alone. No paper.",
          List.of(Parameter.integer("seed", 0, Long.MIN_VALUE, "", "seed of the random numbers")),
          p -> new RandomTokenScore(p.longInteger("seed")));

  private final long seed;

  private RandomTokenScore(long seed) {
    this.seed = seed;
  }

  @Override
  public Set<Evidence> requires() {
    return Set.of();
  }

  @Override
  public Tensor score(LayerEvidence evidence, TensorOps ops) {
    SplittableRandom random = Seeds.random(seed, evidence.layer());
    float[] scores = new float[evidence.kvHeads() * evidence.contextTokens()];
    for (int i = 0; i < scores.length; i++) {
      scores[i] = (float) random.nextDouble();
    }
    return ops.constant(Shape.of(evidence.kvHeads(), evidence.contextTokens()), scores);
  }
}
