package org.parallelcomp.core.policies.score;

import java.util.List;
import java.util.Set;
import org.parallelcomp.api.backend.TensorOps;
import org.parallelcomp.api.evidence.Evidence;
import org.parallelcomp.api.evidence.HeadReduction;
import org.parallelcomp.api.evidence.LayerEvidence;
import org.parallelcomp.api.policy.Parameter;
import org.parallelcomp.api.policy.PolicyFactory;
import org.parallelcomp.api.policy.PolicyKind;
import org.parallelcomp.api.policy.TokenScorer;
import org.parallelcomp.api.tensor.Tensor;

/**
 * A token matters as much as all tokens behind it have looked at it.
 *
 * <p>The attention probabilities that a key receives from every token of the pass are summed, by
 * the log-sum-exp of each row and without a matrix of tokens × tokens, and averaged over the query
 * heads that share a kv head. A part of the budget goes to the most recent tokens.
 *
 * <p><i>Based on</i> H2O, <a href="https://arxiv.org/abs/2306.14048">arXiv 2306.14048</a>.
 *
 * <p>Parameters: {@code recent} = 0.5 of the budget, for the most recent tokens.
 *
 * <p><i>Differs from the paper in</i> evicting a whole chunk at once instead of one token in each
 * step, and in one choice per kv head.
 */
public final class HeavyHitters implements TokenScorer {
  /** Makes the policy {@code h2o}. */
  public static final PolicyFactory<TokenScorer> FACTORY =
      new PolicyFactory<>(
          PolicyKind.TOKEN_SCORER,
          "h2o",
          "A token matters as much as all tokens behind it have looked at it.",
          "Column sums of the whole attention, averaged over the heads that share a kv head; a part"
              + " of the budget goes to the most recent tokens. Based on H2O (arXiv 2306.14048);"
              + " differs in evicting a chunk at once.",
          List.of(
              Parameter.number(
                  "recent", 0.5, 0, 1, "of the budget", "part that the most recent tokens get")),
          p -> new HeavyHitters(p.number("recent")));

  private final double recent;

  private HeavyHitters(double recent) {
    this.recent = recent;
  }

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
    int recentTokens = (int) Math.round(recent * evidence.keptTokens());
    return Protected.tokens(mass, 0, recentTokens, ops);
  }
}
