package org.parallelcomp.core.policies.score;

import java.util.List;
import java.util.Set;
import org.parallelcomp.api.backend.TensorOps;
import org.parallelcomp.api.evidence.Evidence;
import org.parallelcomp.api.evidence.HeadReduction;
import org.parallelcomp.api.evidence.LayerEvidence;
import org.parallelcomp.api.policy.PolicyFactory;
import org.parallelcomp.api.policy.PolicyKind;
import org.parallelcomp.api.policy.TokenScorer;
import org.parallelcomp.api.tensor.Tensor;

/**
 * A token matters as much as those that can see it look at it on average.
 *
 * <p>The column sums of the whole attention, as {@link HeavyHitters} takes them, are divided by the
 * number of tokens that see the key, so that early keys are not favoured for being seen by more.
 *
 * <p><i>Based on</i> H2O, <a href="https://arxiv.org/abs/2306.14048">arXiv 2306.14048</a>, in the
 * form of kvpress' ObservedAttention.
 *
 * <p>Parameters: none.
 *
 * <p><i>Differs from the paper in</i> the mean in place of the sum, and in protecting no recent
 * tokens; in a sequential prefill the mean counts the context's tokens, not only the chunk's.
 */
public final class ObservedAttention implements TokenScorer {
  /** Makes the policy {@code observed-attention}. */
  public static final PolicyFactory<TokenScorer> FACTORY =
      new PolicyFactory<>(
          PolicyKind.TOKEN_SCORER,
          "observed-attention",
          "A token matters as much as those that can see it look at it on average.",
          "Column sums of the whole attention over the number of tokens that see the key. Based on"
              + " H2O (arXiv 2306.14048); differs in the mean, and in protecting no recent tokens.",
          List.of(),
          p -> new ObservedAttention());

  private ObservedAttention() {}

  @Override
  public Set<Evidence> requires() {
    return Set.of(Evidence.ATTENTION_MASS);
  }

  @Override
  public int windowTokens(int queryTokens) {
    return LayerEvidence.WHOLE_PASS;
  }

  @Override
  public Tensor score(LayerEvidence evidence, TensorOps ops) {
    Tensor mass = evidence.attentionMass(LayerEvidence.WHOLE_PASS, HeadReduction.MEAN);
    int tokens = evidence.contextTokens();
    Tensor observers = ops.affine(ops.range(tokens), -1, tokens + evidence.queryTokens());
    return ops.divide(mass, observers);
  }
}
