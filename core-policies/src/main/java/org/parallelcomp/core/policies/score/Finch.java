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
 * A token matters as much as the whole question looks at it.
 *
 * <p>The attention probabilities of every token behind the context are averaged, and over the query
 * heads that share a kv head. Each token's attention is weighted by the number of keys that it
 * sees, which makes up for its being spread over more of them.
 *
 * <p><i>Based on</i> FINCH, <a href="https://arxiv.org/abs/2408.00167">arXiv 2408.00167</a>.
 *
 * <p>Parameters: {@code normalise} = true, whether attention is weighted by the number of keys
 * seen.
 *
 * <p><i>Differs from the paper in</i> nothing that scores; its chunks are those of the plan, and
 * its keys are re-rotated by a schedule with {@code rerotate=true}.
 */
public final class Finch implements TokenScorer {
  /** Makes the policy {@code finch}. */
  public static final PolicyFactory<TokenScorer> FACTORY =
      new PolicyFactory<>(
          PolicyKind.TOKEN_SCORER,
          "finch",
          "A token matters as much as the whole question looks at it.",
          "Mean attention of all tokens behind the context, each weighted by the number of keys that"
              + " it sees. Based on FINCH (arXiv 2408.00167).",
          List.of(
              Parameter.flag(
                  "normalise", true, "whether attention is weighted by the number of keys seen")),
          p -> new Finch(p.flag("normalise")));

  private final boolean normalise;

  private Finch(boolean normalise) {
    this.normalise = normalise;
  }

  @Override
  public Set<Evidence> requires() {
    return Set.of(Evidence.ATTENTION_MASS);
  }

  @Override
  public int windowTokens(int queryTokens) {
    return Math.max(1, queryTokens);
  }

  @Override
  public Tensor score(LayerEvidence evidence, TensorOps ops) {
    int window = Math.max(1, evidence.queryTokens());
    int ownTokens = Window.ownTokens(evidence, 1);
    Tensor weighted = evidence.attentionMass(window, HeadReduction.MEAN);
    if (normalise) {
      int seenByFirst = evidence.prefixTokens() + evidence.contextTokens() - ownTokens + 1;
      weighted = ops.affine(weighted, seenByFirst, 0);
      // The i-th of them sees i keys more than the first: it is one of the last w - i, i times.
      for (int last = window - 1; last > 0; last--) {
        weighted = ops.add(weighted, evidence.attentionMass(last, HeadReduction.MEAN));
      }
    }
    return Protected.tokens(ops.affine(weighted, 1f / window, 0), 0, ownTokens, ops);
  }
}
