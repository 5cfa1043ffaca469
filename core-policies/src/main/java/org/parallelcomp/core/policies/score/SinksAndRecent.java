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
import org.parallelcomp.api.tensor.Shape;
import org.parallelcomp.api.tensor.Tensor;

/**
 * The very first tokens matter most, of the others the most recent.
 *
 * <p>A token's score is its position, and that of a sink is above every position. So any budget
 * keeps the sinks, which take up the attention that goes nowhere, and as many of the last tokens as
 * there is room for. Sinks are counted from the beginning of the sequence: those that belong to the
 * prefix stay anyhow and cost nothing.
 *
 * <p><i>Based on</i> StreamingLLM, <a href="https://arxiv.org/abs/2309.17453">arXiv 2309.17453</a>.
 *
 * <p>Parameters: {@code sinks} = 4 tokens.
 *
 * <p><i>Differs from the paper in</i> evicting after each chunk instead of after each token.
 */
public final class SinksAndRecent implements TokenScorer {
  /** Makes the policy {@code streaming-llm}. */
  public static final PolicyFactory<TokenScorer> FACTORY =
      new PolicyFactory<>(
          PolicyKind.TOKEN_SCORER,
          "streaming-llm",
          "The first tokens matter most, then the most recent ones.",
          "Any budget keeps the sinks at the beginning of the sequence and the last tokens. Based"
              + " on StreamingLLM (arXiv 2309.17453); differs in evicting chunk by chunk.",
          List.of(
              Parameter.integer(
                  "sinks", 4, 0, "tokens", "first tokens of the sequence that matter most")),
          p -> new SinksAndRecent(p.integer("sinks")));

  private final int sinks;

  private SinksAndRecent(int sinks) {
    this.sinks = sinks;
  }

  @Override
  public Set<Evidence> requires() {
    return Set.of();
  }

  @Override
  public Tensor score(LayerEvidence evidence, TensorOps ops) {
    int tokens = evidence.contextTokens();
    int contextSinks = Math.clamp((long) sinks - evidence.prefixTokens(), 0, tokens);
    Tensor position = ops.range(tokens);
    Tensor behindSinks = ops.greaterThan(position, contextSinks - 0.5f);
    Tensor score = ops.where(behindSinks, position, ops.full(Shape.of(1), tokens));
    return ops.add(score, ops.full(Shape.of(evidence.kvHeads(), 1), 0));
  }
}
