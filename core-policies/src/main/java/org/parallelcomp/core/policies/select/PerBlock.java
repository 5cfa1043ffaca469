package org.parallelcomp.core.policies.select;

import java.util.ArrayList;
import java.util.List;
import org.parallelcomp.api.backend.TensorOps;
import org.parallelcomp.api.cache.TokenSelection;
import org.parallelcomp.api.evidence.LayerEvidence;
import org.parallelcomp.api.policy.Parameter;
import org.parallelcomp.api.policy.PolicyFactory;
import org.parallelcomp.api.policy.PolicyKind;
import org.parallelcomp.api.policy.Selector;
import org.parallelcomp.api.tensor.Shape;
import org.parallelcomp.api.tensor.Tensor;
import org.parallelcomp.core.policies.score.Protected;

/**
 * Every part of the context keeps its share, so that none is lost as a whole.
 *
 * <p>The context is cut into blocks of equal length. Each block keeps its best tokens, as many as
 * its length's share of the budget; the shares differ by one at most where they cannot be equal and
 * add up to the budget. Tokens that a scorer protects stay first, at the cost of the weakest.
 *
 * <p><i>Based on</i> FINCH, <a href="https://arxiv.org/abs/2408.00167">arXiv 2408.00167</a>.
 *
 * <p>Parameters: {@code block} = 128 tokens.
 *
 * <p><i>Differs from the paper in</i> choosing after the attention over the whole context.
 */
public final class PerBlock implements Selector {
  /** Makes the policy {@code per-block}. */
  public static final PolicyFactory<Selector> FACTORY =
      new PolicyFactory<>(
          PolicyKind.SELECTOR,
          "per-block",
          "Every part of the context keeps its share.",
          "The best tokens of each block, as many as its length's share of the budget. Based on"
              + " FINCH (arXiv 2408.00167); differs in choosing after the whole context was read.",
          List.of(Parameter.integer("block", 128, 1, "tokens", "length of a block")),
          p -> new PerBlock(p.integer("block")));

  private final int block;

  private PerBlock(int block) {
    this.block = block;
  }

  @Override
  public TokenSelection select(
      Tensor scores, int keptTokens, LayerEvidence evidence, TensorOps ops) {
    int tokens = scores.shape().intDim(1);
    if (keptTokens >= tokens) {
      return TokenSelection.everything(scores.shape().intDim(0), tokens);
    }
    var shares = new ArrayList<Tensor>();
    for (int from = 0; from < tokens; from += block) {
      int to = Math.min(tokens, from + block);
      int share = share(to, keptTokens, tokens) - share(from, keptTokens, tokens);
      Tensor best = ops.topK(scores.slice(1, from, to), share);
      shares.add(ops.mask(TokenSelection.uniform(to - from, best)));
    }
    Tensor isProtected = Protected.mask(scores, ops);
    Tensor lowest = ops.full(Shape.of(1), -Float.MAX_VALUE);
    Tensor known = ops.where(ops.greaterThan(scores, -Float.MAX_VALUE), scores, lowest);
    Tensor none = ops.full(Shape.of(1), Float.NEGATIVE_INFINITY);
    Tensor shared = ops.where(ops.concat(shares, 1), known, none);
    Tensor decided = ops.where(isProtected, scores, shared);
    return TokenSelection.uniform(tokens, ops.topK(decided, keptTokens));
  }

  private static int share(int end, int keptTokens, int tokens) {
    return (int) ((long) keptTokens * end / tokens);
  }
}
