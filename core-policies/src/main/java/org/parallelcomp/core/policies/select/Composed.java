package org.parallelcomp.core.policies.select;

import java.util.List;
import java.util.Set;
import org.parallelcomp.api.backend.TensorOps;
import org.parallelcomp.api.cache.TokenSelection;
import org.parallelcomp.api.evidence.Evidence;
import org.parallelcomp.api.evidence.LayerEvidence;
import org.parallelcomp.api.policy.Parameter;
import org.parallelcomp.api.policy.Parameters;
import org.parallelcomp.api.policy.PolicyFactory;
import org.parallelcomp.api.policy.PolicyKind;
import org.parallelcomp.api.policy.Selector;
import org.parallelcomp.api.policy.TokenScorer;
import org.parallelcomp.api.tensor.Tensor;
import org.parallelcomp.core.policies.score.Scorers;

/**
 * Several scorers one after the other, each among what the ones before have left.
 *
 * <p>Each scorer but the last leaves a part of what it is shown, though never less than the budget;
 * the last leaves the budget. Each scores anew what is left, in the order of the text, so that a
 * mean over the keys, say, is one over the keys that are left. The plan's own token scorer is not
 * asked for more than its scores, which are not used: set it to {@code none}.
 *
 * <p><i>Based on</i> no paper.
 *
 * <p>Parameters: {@code scorers} = [window-attention, key-diff]; {@code keep} = 0.5, the part that
 * each scorer but the last leaves.
 */
public final class Composed implements Selector {
  /** Makes the policy {@code composed}. */
  public static final PolicyFactory<Selector> FACTORY =
      new PolicyFactory<>(
          PolicyKind.SELECTOR,
          "composed",
          "Several scorers one after the other, each among what the ones before have left.",
          "Each scores anew what is left. Brings its own scorers: set the token scorer to none. No paper.",
          List.of(
              Parameter.policies(
                  "scorers",
                  PolicyKind.TOKEN_SCORER,
                  "[window-attention, key-diff]",
                  "scorers in the order in which they act"),
              Parameter.number(
                  "keep", 0.5, 0, 1, "of the tokens", "part that each scorer but the last leaves")),
          Composed::new);

  private final List<TokenScorer> scorers;
  private final double keep;

  private Composed(Parameters parameters) {
    this.scorers = parameters.policies("scorers", TokenScorer.class);
    this.keep = parameters.number("keep");
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
  public TokenSelection select(
      Tensor scores, int keptTokens, LayerEvidence evidence, TensorOps ops) {
    int tokens = scores.shape().intDim(1);
    if (keptTokens >= tokens) {
      return TokenSelection.everything(scores.shape().intDim(0), tokens);
    }
    Survivors left = Survivors.of(evidence, 0, tokens, ops);
    for (int i = 0; i < scorers.size(); i++) {
      int count = left.contextTokens();
      int stay = i == scorers.size() - 1 ? keptTokens : Math.max(keptTokens, (int) (keep * count));
      left = left.best(scorers.get(i), stay);
    }
    return TokenSelection.uniform(tokens, left.positions());
  }
}
