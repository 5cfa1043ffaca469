package org.parallelcomp.core.policies.select;

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

/**
 * The kv heads of a layer share its budget: heads with high scores keep more tokens.
 *
 * <p>Each head keeps its best tokens up to a floor, a part of the budget per head. The rest of the
 * layer's budget goes to the highest scores of all heads together, so the layer keeps exactly as
 * many as with equal heads, and its cache is ragged: what a head does not keep takes no memory. Of
 * equal scores the earlier position stays, then the lower head; NaN ranks lowest.
 *
 * <p><i>Based on</i> Ada-KV, <a href="https://arxiv.org/abs/2407.11550">arXiv 2407.11550</a>.
 *
 * <p>Parameters: {@code floor} = 0.2 of the budget per head.
 *
 * <p><i>Differs from the paper in</i> the floor: the paper mixes the adaptive number of each head
 * with the equal one and rounds, which does not keep an exact number.
 */
public final class AdaKv implements Selector {
  /** Makes the policy {@code ada-kv}. */
  public static final PolicyFactory<Selector> FACTORY =
      new PolicyFactory<>(
          PolicyKind.SELECTOR,
          "ada-kv",
          "The kv heads of a layer share its budget: heads with high scores keep more tokens.",
          "A floor for each head, then the highest scores of all heads together; exactly as many in"
              + " all. Based on Ada-KV (arXiv 2407.11550); differs in a floor where the paper mixes"
              + " the budgets.",
          List.of(
              Parameter.number(
                  "floor", 0.2, 0, 1, "of the budget", "part that every head keeps at least")),
          p -> new AdaKv(p.number("floor")));

  private final double floor;

  private AdaKv(double floor) {
    this.floor = floor;
  }

  @Override
  public TokenSelection select(
      Tensor scores, int keptTokens, LayerEvidence evidence, TensorOps ops) {
    int heads = scores.shape().intDim(0);
    int tokens = scores.shape().intDim(1);
    if (keptTokens >= tokens) {
      return TokenSelection.everything(heads, tokens);
    }
    Tensor best = ops.topK(scores, (int) (floor * keptTokens));
    Tensor isSafe = ops.mask(TokenSelection.uniform(tokens, best));
    Tensor greatest = ops.full(Shape.of(1), Float.MAX_VALUE);
    Tensor finite = ops.where(ops.greaterThan(scores, Float.MAX_VALUE), greatest, scores);
    Tensor safe = ops.where(isSafe, ops.full(Shape.of(1), Float.POSITIVE_INFINITY), finite);
    // Position by position, so that ties between heads are broken by position too.
    Tensor byPosition = ops.transpose(safe, 0, 1).reshape(Shape.of(1, (long) tokens * heads));
    Tensor kept = ops.topK(byPosition, keptTokens * heads);
    Tensor isKept = ops.mask(TokenSelection.uniform(tokens * heads, kept));
    return ops.selectWhere(ops.transpose(isKept.reshape(Shape.of(tokens, heads)), 0, 1));
  }
}
