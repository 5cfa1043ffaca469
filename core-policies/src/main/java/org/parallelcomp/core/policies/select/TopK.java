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
 * Each kv head keeps its tokens of highest score.
 *
 * <p>Exactly as many stay in each head as the budget says. Of equal scores the earlier position
 * stays, which max-pooling makes a daily matter; NaN ranks lowest. Protected tokens stay whatever
 * their scores, and count against the budget; where it is too small for them, sinks come first and
 * then the latest of the recent ones.
 *
 * <p><i>Based on</i> the selection of SnapKV, <a href="https://arxiv.org/abs/2404.14469">arXiv
 * 2404.14469</a>, and of ParallelComp, <a href="https://arxiv.org/abs/2502.14317">arXiv
 * 2502.14317</a>.
 *
 * <p>Parameters: {@code sinks} = 0 tokens and {@code recent} = 0 tokens, how many at the beginning
 * and at the end of the context are protected.
 *
 * <p><i>Differs from the paper in</i> the rule for ties, so that every backend keeps the same.
 */
public final class TopK implements Selector {
  /** Makes the policy {@code top-k}. */
  public static final PolicyFactory<Selector> FACTORY =
      new PolicyFactory<>(
          PolicyKind.SELECTOR,
          "top-k",
          "Each kv head keeps its tokens of highest score, exactly as many as the budget says.",
          "Of equal scores the earlier token stays; protected tokens stay whatever their scores."
              + " Based on SnapKV (arXiv 2404.14469) and ParallelComp (arXiv 2502.14317).",
          List.of(
              Parameter.integer(
                  "sinks", 0, 0, "tokens", "tokens at the beginning that always stay"),
              Parameter.integer("recent", 0, 0, "tokens", "tokens at the end that always stay")),
          p -> new TopK(p.integer("sinks"), p.integer("recent")));

  private final int sinks;
  private final int recent;

  private TopK(int sinks, int recent) {
    this.sinks = sinks;
    this.recent = recent;
  }

  @Override
  public TokenSelection select(
      Tensor scores, int keptTokens, LayerEvidence evidence, TensorOps ops) {
    int tokens = scores.shape().intDim(1);
    if (keptTokens >= tokens) {
      return TokenSelection.everything(scores.shape().intDim(0), tokens);
    }
    return TokenSelection.uniform(tokens, ops.topK(protect(scores, keptTokens, ops), keptTokens));
  }

  /** Raises the scores of protected tokens above all others. */
  private Tensor protect(Tensor scores, int keptTokens, TensorOps ops) {
    int tokens = scores.shape().intDim(1);
    int protectedSinks = Math.min(sinks, keptTokens);
    int protectedRecent = Math.min(recent, keptTokens - protectedSinks);
    if (protectedSinks + protectedRecent == 0) {
      return scores;
    }
    Tensor position = ops.range(tokens);
    Tensor behindSinks = ops.greaterThan(position, protectedSinks - 0.5f);
    Tensor isRecent = ops.greaterThan(position, tokens - protectedRecent - 0.5f);
    Tensor highest = ops.full(Shape.of(1), Float.POSITIVE_INFINITY);
    // A score may be infinite itself; it must not tie with the protected ones.
    Tensor finite =
        ops.where(
            ops.greaterThan(scores, Float.MAX_VALUE),
            ops.full(Shape.of(1), Float.MAX_VALUE),
            scores);
    return ops.where(isRecent, highest, ops.where(behindSinks, finite, highest));
  }
}
