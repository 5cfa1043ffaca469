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

/**
 * The context is looked at block by block, and never more than the budget stays of what was seen.
 *
 * <p>The first tokens, as many as the budget, stay to begin with. Then each block joins what has
 * stayed, a scorer scores both anew, and the best of them stay. This is what eviction in a prefill
 * of small chunks would keep; the tokens themselves were read with the whole context in sight (for
 * the real thing, see prefill mode sequential). The plan's own token scorer is not used: set it to
 * {@code none}.
 *
 * <p><i>Based on</i> KeyDiff, <a href="https://arxiv.org/abs/2504.15364">arXiv 2504.15364</a>.
 *
 * <p>Parameters: {@code block} = 128 tokens; {@code scorer} = key-diff.
 *
 * <p><i>Differs from the paper in</i> acting after the attention, not inside it.
 */
public final class BlockWise implements Selector {
  /** Makes the policy {@code block-wise}. */
  public static final PolicyFactory<Selector> FACTORY =
      new PolicyFactory<>(
          PolicyKind.SELECTOR,
          "block-wise",
          "Block by block, never more than the budget stays of what was seen.",
          "A scorer scores what has stayed and the next block anew. Brings its own scorer: set the"
              + " token scorer to none. Based on KeyDiff (arXiv 2504.15364); differs in acting"
              + " after the attention.",
          List.of(
              Parameter.integer("block", 128, 1, "tokens", "length of a block"),
              Parameter.policy(
                  "scorer", PolicyKind.TOKEN_SCORER, "key-diff", "what scores each time")),
          BlockWise::new);

  private final int block;
  private final TokenScorer scorer;

  private BlockWise(Parameters parameters) {
    this.block = parameters.integer("block");
    this.scorer = parameters.policy("scorer", TokenScorer.class);
  }

  @Override
  public Set<Evidence> requires() {
    return scorer.requires();
  }

  @Override
  public int windowTokens(int queryTokens) {
    return scorer.windowTokens(queryTokens);
  }

  @Override
  public TokenSelection select(
      Tensor scores, int keptTokens, LayerEvidence evidence, TensorOps ops) {
    int tokens = scores.shape().intDim(1);
    if (keptTokens >= tokens) {
      return TokenSelection.everything(scores.shape().intDim(0), tokens);
    }
    Survivors left = Survivors.of(evidence, 0, keptTokens, ops);
    for (int from = keptTokens; from < tokens; from += block) {
      left = left.and(from, Math.min(tokens, from + block)).best(scorer, keptTokens);
    }
    return TokenSelection.uniform(tokens, left.positions());
  }
}
