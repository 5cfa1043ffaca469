package org.parallelcomp.core.policies.score;

import java.util.List;
import java.util.Set;
import org.parallelcomp.api.backend.TensorOps;
import org.parallelcomp.api.evidence.Evidence;
import org.parallelcomp.api.evidence.LayerEvidence;
import org.parallelcomp.api.policy.Parameter;
import org.parallelcomp.api.policy.PolicyFactory;
import org.parallelcomp.api.policy.PolicyKind;
import org.parallelcomp.api.policy.TokenScorer;
import org.parallelcomp.api.tensor.Tensor;

/**
 * Another scorer in each part of the depth.
 *
 * <p>The layers are divided into as many equal parts as there are scorers, and each part is scored
 * by its own. What any of them needs to see is observed in every layer.
 *
 * <p><i>Based on</i> no paper.
 *
 * <p>Parameters: {@code scorers} = [window-attention, key-diff], from the first layers to the last.
 */
public final class ScorerPerLayer implements TokenScorer {
  /** Makes the policy {@code per-layer}. */
  public static final PolicyFactory<TokenScorer> FACTORY =
      new PolicyFactory<>(
          PolicyKind.TOKEN_SCORER,
          "per-layer",
          "Another scorer in each part of the depth.",
          "The layers are divided into as many equal parts as there are scorers. No paper.",
          List.of(
              Parameter.policies(
                  "scorers",
                  PolicyKind.TOKEN_SCORER,
                  "[window-attention, key-diff]",
                  "scorers of equal parts of the depth, from the first layers to the last")),
          p -> new ScorerPerLayer(p.policies("scorers", TokenScorer.class)));

  private final List<TokenScorer> scorers;

  private ScorerPerLayer(List<TokenScorer> scorers) {
    this.scorers = scorers;
  }

  @Override
  public Set<Evidence> requires() {
    return Scorers.requires(scorers);
  }

  @Override
  public int windowTokens(int queryTokens) {
    return Scorers.windowTokens(scorers, queryTokens);
  }

  @Override
  public Tensor score(LayerEvidence evidence, TensorOps ops) {
    int part = evidence.layer() * scorers.size() / evidence.layers();
    return scorers.get(part).score(evidence, ops);
  }
}
