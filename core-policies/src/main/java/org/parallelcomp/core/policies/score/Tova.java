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
 * A token matters as much as the very last token looks at it.
 *
 * <p>The attention probabilities of the last token of the pass are averaged over all query heads of
 * the layer. Every kv head gets the same scores and keeps the same tokens. Where nothing stands
 * behind the context, the last token is the context's own and always stays.
 *
 * <p><i>Based on</i> TOVA, <a href="https://arxiv.org/abs/2401.06104">arXiv 2401.06104</a>.
 *
 * <p>Parameters: none.
 *
 * <p><i>Differs from the paper in</i> evicting a whole chunk at once instead of one token in each
 * step.
 */
public final class Tova implements TokenScorer {
  /** Makes the policy {@code tova}. */
  public static final PolicyFactory<TokenScorer> FACTORY =
      new PolicyFactory<>(
          PolicyKind.TOKEN_SCORER,
          "tova",
          "A token matters as much as the very last token looks at it, on average over all heads.",
          "Attention of the last query, averaged over the query heads; all kv heads keep the same."
              + " Based on TOVA (arXiv 2401.06104); differs in evicting a chunk at once.",
          List.of(),
          p -> new Tova());

  private Tova() {}

  @Override
  public Set<Evidence> requires() {
    return Set.of(Evidence.ATTENTION_MASS);
  }

  @Override
  public int windowTokens(int queryTokens) {
    return 1;
  }

  @Override
  public Tensor score(LayerEvidence evidence, TensorOps ops) {
    Tensor attention = ops.mean(evidence.attentionMass(1, HeadReduction.NONE), 0);
    Tensor scores = Scores.sameForAllHeads(attention, evidence.kvHeads(), ops);
    return Protected.tokens(scores, 0, Window.ownTokens(evidence, 1), ops);
  }
}
