package org.parallelcomp.core.policies.score;

import java.util.List;
import java.util.Set;
import org.parallelcomp.api.backend.TensorOps;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.evidence.Evidence;
import org.parallelcomp.api.evidence.HeadReduction;
import org.parallelcomp.api.evidence.LayerEvidence;
import org.parallelcomp.api.policy.Parameter;
import org.parallelcomp.api.policy.Parameters;
import org.parallelcomp.api.policy.PolicyFactory;
import org.parallelcomp.api.policy.PolicyKind;
import org.parallelcomp.api.policy.TokenScorer;
import org.parallelcomp.api.tensor.Shape;
import org.parallelcomp.api.tensor.Tensor;

/**
 * A token matters as much as the end of the question looks at it.
 *
 * <p>The attention probabilities of the last queries behind the chunk are summed for each key and
 * averaged over the query heads that share a kv head. Then each token takes the maximum (or the
 * mean) over its neighbours, so that what stands beside a token looked at stays with it. Where
 * nothing stands behind the context, its own last tokens look, and always stay.
 *
 * <p><i>Based on</i> ParallelComp, <a href="https://arxiv.org/abs/2502.14317">arXiv 2502.14317</a>,
 * equations 5 to 7 and appendix C, which takes the observation window from SnapKV, <a
 * href="https://arxiv.org/abs/2404.14469">arXiv 2404.14469</a>.
 *
 * <p>Parameters: {@code window} = 8 tokens, how many of the last tokens behind the context look (0:
 * all of them); {@code pool} = 21 tokens, the odd width of the neighbourhood (1: none); {@code
 * pooling} = max, or average, or none.
 *
 * <p><i>Differs from the paper in</i> one choice per kv head instead of one per query head, and in
 * the width of the pool: 7, as in the released code, loses the last digits of long numbers, 21 does
 * not.
 */
public final class WindowAttention implements TokenScorer {
  /** Makes the policy {@code window-attention}. */
  public static final PolicyFactory<TokenScorer> FACTORY =
      new PolicyFactory<>(
          PolicyKind.TOKEN_SCORER,
          "window-attention",
          "A token matters as much as the end of the question looks at it.",
          "Attention of the last queries behind the chunk, summed, averaged over the heads that"
              + " share a kv head, pooled over neighbours. Based on ParallelComp (arXiv 2502.14317)"
              + " and SnapKV (arXiv 2404.14469); differs in the wider pool and in choosing per kv"
              + " head.",
          parameters(8, 21, "max", "average", "none"),
          WindowAttention::new);

  private enum Pooling {
    MAX,
    AVERAGE,
    NONE
  }

  private final int window;
  private final int pool;
  private final Pooling pooling;

  WindowAttention(Parameters parameters) {
    this.window = parameters.integer("window");
    this.pool = parameters.integer("pool");
    this.pooling =
        switch (parameters.text("pooling")) {
          case "max" -> Pooling.MAX;
          case "average" -> Pooling.AVERAGE;
          default -> Pooling.NONE;
        };
    if (pool % 2 == 0) {
      throw new InferenceException(
          ErrorCode.INVALID_ARGUMENT,
          "pool must be odd, so that it has a middle, not " + pool + ".");
    }
  }

  /** Declares the parameters with other defaults; the first word of the pooling is its default. */
  static List<Parameter> parameters(int window, int pool, String... pooling) {
    return List.of(
        Parameter.integer(
            "window",
            window,
            0,
            "tokens",
            "how many of the last tokens behind the context look; 0 for all of them"),
        Parameter.integer("pool", pool, 1, "tokens", "width of the neighbourhood, odd"),
        Parameter.choice("pooling", "what a token takes from its neighbourhood", pooling));
  }

  @Override
  public Set<Evidence> requires() {
    return Set.of(Evidence.ATTENTION_MASS);
  }

  @Override
  public int windowTokens(int queryTokens) {
    return window == 0 ? queryTokens : window;
  }

  @Override
  public Tensor score(LayerEvidence evidence, TensorOps ops) {
    Tensor mass = evidence.attentionMass(Window.queries(evidence, window), HeadReduction.MEAN);
    int ownTokens = Window.ownTokens(evidence, window);
    if (ownTokens == 0) {
      return pooled(mass, ops);
    }
    int lookedAt = evidence.contextTokens() - ownTokens;
    Tensor before = pooled(mass.slice(1, 0, lookedAt), ops);
    Tensor own = ops.full(Shape.of(evidence.kvHeads(), ownTokens), 0);
    return Protected.tokens(ops.concat(List.of(before, own), 1), 0, ownTokens, ops);
  }

  private Tensor pooled(Tensor mass, TensorOps ops) {
    return switch (pooling) {
      case MAX -> ops.maxPool1d(mass, pool);
      case AVERAGE -> ops.averagePool1d(mass, pool);
      case NONE -> mass;
    };
  }
}
