package org.parallelcomp.core.policies.score;

import java.util.List;
import java.util.Set;
import org.parallelcomp.api.backend.TensorOps;
import org.parallelcomp.api.evidence.Evidence;
import org.parallelcomp.api.evidence.LayerEvidence;
import org.parallelcomp.api.policy.PolicyFactory;
import org.parallelcomp.api.policy.PolicyKind;
import org.parallelcomp.api.policy.TokenScorer;
import org.parallelcomp.api.tensor.Shape;
import org.parallelcomp.api.tensor.Tensor;

/**
 * Every token matters the same.
 *
 * <p>The score is 0 and nothing is observed. Where a budget is smaller than the chunk, a selector
 * that breaks ties by position keeps the first tokens.
 *
 * <p><i>Based on</i> no paper.
 *
 * <p>Parameters: none.
 */
public final class ConstantTokenScore implements TokenScorer {
  /** Makes the policy {@code none}. */
  public static final PolicyFactory<TokenScorer> FACTORY =
      new PolicyFactory<>(
          PolicyKind.TOKEN_SCORER,
          "none",
          "Every token matters the same; nothing is computed.",
          "For plans that keep every token of a chunk. No paper.",
          List.of(),
          p -> new ConstantTokenScore());

  private ConstantTokenScore() {}

  @Override
  public Set<Evidence> requires() {
    return Set.of();
  }

  @Override
  public Tensor score(LayerEvidence evidence, TensorOps ops) {
    return ops.full(Shape.of(evidence.kvHeads(), evidence.contextTokens()), 0);
  }
}
