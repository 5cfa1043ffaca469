package org.parallelcomp.core.policies.select;

import java.util.ArrayList;
import java.util.EnumSet;
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
import org.parallelcomp.api.tensor.Shape;
import org.parallelcomp.api.tensor.Tensor;
import org.parallelcomp.core.policies.score.Protected;

/**
 * Half of the budget by score, the rest by what a token can change in the layer's output.
 *
 * <p>Another selector says how many tokens each head keeps. A part of them are those of highest
 * score. The others are those of highest {@code (score + ε) ‖W_o v‖₁}, the norm being averaged over
 * the query heads that share a kv head. Where a head has negative scores, its least score is
 * subtracted first, so that a larger output never lowers a token's rank.
 *
 * <p><i>Based on</i> CriticalKV, <a href="https://arxiv.org/abs/2502.03805">arXiv 2502.03805</a>.
 *
 * <p>Parameters: {@code by-score} = 0.5 of a head's tokens; {@code epsilon} = 1e-4; {@code
 * selector} = top-k, which says how many tokens each head keeps ({@code ada-kv} for adaptive
 * heads).
 *
 * <p><i>Differs from the paper in</i> the shift of negative scores.
 */
public final class CriticalKv implements Selector {
  /** Makes the policy {@code critical-kv}. */
  public static final PolicyFactory<Selector> FACTORY =
      new PolicyFactory<>(
          PolicyKind.SELECTOR,
          "critical-kv",
          "Half of the budget by score, the rest by what a token can change in the output.",
          "The second part goes to the highest product of score and norm of the projected value."
              + " Based on CriticalKV (arXiv 2502.03805); differs in shifting negative scores.",
          List.of(
              Parameter.number(
                  "by-score", 0.5, 0, 1, "of a head's tokens", "part that goes by score alone"),
              Parameter.number("epsilon", 1e-4, 0, 1, "", "added to the scores of the second part"),
              Parameter.policy(
                  "selector",
                  PolicyKind.SELECTOR,
                  "top-k",
                  "what says how many tokens each head keeps")),
          CriticalKv::new);

  private final double byScore;
  private final float epsilon;
  private final Selector selector;

  private CriticalKv(Parameters parameters) {
    this.byScore = parameters.number("by-score");
    this.epsilon = (float) parameters.number("epsilon");
    this.selector = parameters.policy("selector", Selector.class);
  }

  @Override
  public Set<Evidence> requires() {
    var required = EnumSet.of(Evidence.VALUES, Evidence.OUTPUT_PROJECTION);
    required.addAll(selector.requires());
    return required;
  }

  @Override
  public int windowTokens(int queryTokens) {
    return selector.windowTokens(queryTokens);
  }

  @Override
  public TokenSelection select(
      Tensor scores, int keptTokens, LayerEvidence evidence, TensorOps ops) {
    TokenSelection kept = selector.select(scores, keptTokens, evidence, ops);
    if (kept.keepsEverything()) {
      return kept;
    }
    int tokens = kept.tokens();
    Tensor products =
        ops.multiply(ops.affine(notNegative(scores, ops), 1, epsilon), norms(evidence, ops));
    var heads = new ArrayList<Tensor>();
    for (int h = 0; h < kept.kvHeads(); h++) {
      int count = kept.keptTokens(h);
      Tensor ofHead = scores.slice(0, h, h + 1);
      Tensor best = ops.topK(ofHead, (int) (byScore * count));
      Tensor isBest = ops.mask(TokenSelection.uniform(tokens, best));
      Tensor isFirst = ops.add(isBest, Protected.mask(ofHead, ops));
      Tensor highest = ops.full(Shape.of(1), Float.POSITIVE_INFINITY);
      Tensor second = ops.where(isFirst, highest, products.slice(0, h, h + 1));
      heads.add(ops.mask(TokenSelection.uniform(tokens, ops.topK(second, count))));
    }
    return ops.selectWhere(ops.concat(heads, 0));
  }

  /** Subtracts the least score of a head where that is negative; NaN stays. */
  private static Tensor notNegative(Tensor scores, TensorOps ops) {
    Tensor zero = ops.full(Shape.of(1), 0);
    Tensor isFinite = ops.greaterThan(scores, -Float.MAX_VALUE);
    Tensor least = ops.min(ops.where(isFinite, scores, zero), 1);
    Tensor shift = ops.where(ops.greaterThan(least, 0), zero, least);
    return ops.subtract(scores, shift.reshape(Shape.of(scores.shape().dim(0), 1)));
  }

  /**
   * Returns {@code ‖W_o v‖₁}, averaged over the query heads of a group, {@code [kvHeads, tokens]}.
   */
  private static Tensor norms(LayerEvidence evidence, TensorOps ops) {
    int kvHeads = evidence.kvHeads();
    long group = evidence.queryHeads() / kvHeads;
    Tensor projection = evidence.outputProjection();
    long hiddenDim = projection.shape().dim(2);
    Tensor values =
        evidence
            .values()
            .reshape(Shape.of(kvHeads, 1, evidence.contextTokens(), evidence.headDim()));
    Tensor perHead = projection.reshape(Shape.of(kvHeads, group, evidence.headDim(), hiddenDim));
    Tensor outputs = ops.matmul(values, perHead);
    Tensor isPositive = ops.greaterThan(outputs, 0);
    Tensor magnitudes = ops.where(isPositive, outputs, ops.affine(outputs, -1, 0));
    return ops.mean(ops.sum(magnitudes, -1), 1);
  }
}
