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
import org.parallelcomp.core.policies.score.Blocks;
import org.parallelcomp.core.policies.score.Protected;

/**
 * Neighbouring tokens stay or go together, so that what belongs together is kept whole.
 *
 * <p>The context is cut into runs of equal length. A run's score is the mean of its tokens' scores,
 * summed over the kv heads, and every head keeps the tokens of the best runs. Of the last run that
 * is kept only the first tokens stay where the budget leaves no room for all. Tokens that a scorer
 * protects stay whatever becomes of their run.
 *
 * <p><i>Based on</i> ChunkKV, <a href="https://arxiv.org/abs/2502.00299">arXiv 2502.00299</a>.
 *
 * <p>Parameters: {@code run} = 20 tokens.
 *
 * <p><i>Differs from the paper in</i> keeping the exact number of tokens instead of whole runs
 * only, and in choosing anew in every layer.
 */
public final class ChunkKv implements Selector {
  /** Makes the policy {@code chunk-kv}. */
  public static final PolicyFactory<Selector> FACTORY =
      new PolicyFactory<>(
          PolicyKind.SELECTOR,
          "chunk-kv",
          "Neighbouring tokens stay or go together.",
          "Runs of tokens by the mean of their scores, summed over the heads; all heads keep the"
              + " same. Based on ChunkKV (arXiv 2502.00299); differs in keeping the exact number of"
              + " tokens.",
          List.of(Parameter.integer("run", 20, 1, "tokens", "tokens that stay or go together")),
          p -> new ChunkKv(p.integer("run")));

  private final int run;

  private ChunkKv(int run) {
    this.run = run;
  }

  @Override
  public TokenSelection select(
      Tensor scores, int keptTokens, LayerEvidence evidence, TensorOps ops) {
    int heads = scores.shape().intDim(0);
    int tokens = scores.shape().intDim(1);
    if (keptTokens >= tokens) {
      return TokenSelection.everything(heads, tokens);
    }
    Tensor isProtected = Protected.mask(scores, ops);
    Tensor judged = ops.where(isProtected, ops.full(Shape.of(1), 0), scores);
    Tensor sum = ops.sum(judged, 0).reshape(Shape.of(1, tokens));
    Tensor runs = ops.add(Blocks.means(sum, run, ops), ops.full(Shape.of(heads, 1), 0));
    Tensor decided = ops.where(isProtected, scores, runs);
    return TokenSelection.uniform(tokens, ops.topK(decided, keptTokens));
  }
}
