package org.parallelcomp.core.policies.score;

import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import org.parallelcomp.api.backend.TensorOps;
import org.parallelcomp.api.evidence.Evidence;
import org.parallelcomp.api.evidence.LayerEvidence;
import org.parallelcomp.api.policy.Parameter;
import org.parallelcomp.api.policy.Parameters;
import org.parallelcomp.api.policy.PolicyFactory;
import org.parallelcomp.api.policy.PolicyKind;
import org.parallelcomp.api.policy.TokenScorer;
import org.parallelcomp.api.tensor.Shape;
import org.parallelcomp.api.tensor.Tensor;

/**
 * A token matters as much as queries to come are expected to look at it.
 *
 * <p>The context's queries before RoPE, without those of the sinks, give a mean μ and a covariance
 * Σ per query head; both are turned by the mean rotation R of the positions to come. The score is
 * {@code softmax(k·Rμ / √d + kᵀRΣRᵀk / 2d)} over the context, averaged over the query heads that
 * share a kv head, plus ε, times the norm of the value. No question is needed.
 *
 * <p><i>Based on</i> Expected Attention, <a href="https://arxiv.org/abs/2510.00636">arXiv
 * 2510.00636</a>.
 *
 * <p>Parameters: {@code positions} = 512, how many positions to come; {@code sinks} = 4 tokens of
 * the sequence that stay and do not count; {@code covariance} = true; {@code values} = true,
 * whether the values' norms count; {@code epsilon} = 0.
 *
 * <p><i>Differs from the paper in</i> averaging the rotation before it meets the covariance, as the
 * authors' code does.
 */
public final class ExpectedAttention implements TokenScorer {
  /** Makes the policy {@code expected-attention}. */
  public static final PolicyFactory<TokenScorer> FACTORY =
      new PolicyFactory<>(
          PolicyKind.TOKEN_SCORER,
          "expected-attention",
          "A token matters as much as queries to come are expected to look at it.",
          "Attention expected of Gaussian queries with the mean and covariance of the context's,"
              + " turned to the positions to come, times the norm of the value. Based on Expected"
              + " Attention (arXiv 2510.00636); differs in averaging the rotation first.",
          List.of(
              Parameter.integer(
                  "positions", 512, 1, "positions", "how many positions behind the context count"),
              Parameter.integer("sinks", 4, 0, "tokens", "first tokens of the sequence that stay"),
              Parameter.flag("covariance", true, "whether the queries' covariance counts"),
              Parameter.flag("values", true, "whether the norms of the values count"),
              Parameter.number(
                  "epsilon", 0, 0, 1, "", "added to the attention before the values count")),
          ExpectedAttention::new);

  private final int positions;
  private final int sinks;
  private final boolean covariance;
  private final boolean values;
  private final float epsilon;

  private ExpectedAttention(Parameters parameters) {
    this.positions = parameters.integer("positions");
    this.sinks = parameters.integer("sinks");
    this.covariance = parameters.flag("covariance");
    this.values = parameters.flag("values");
    this.epsilon = (float) parameters.number("epsilon");
  }

  @Override
  public Set<Evidence> requires() {
    var required = EnumSet.of(Evidence.KEYS, Evidence.UNROTATED_QUERIES, Evidence.MEAN_ROTATION);
    if (values) {
      required.add(Evidence.VALUES);
    }
    return required;
  }

  @Override
  public Tensor score(LayerEvidence evidence, TensorOps ops) {
    int kvHeads = evidence.kvHeads();
    int tokens = evidence.contextTokens();
    int from = Window.sinks(evidence, sinks);
    Tensor skipped = ops.full(Shape.of(kvHeads, from), 0);
    if (from == tokens) {
      return Protected.tokens(skipped, from, 0, ops);
    }
    var queries = new FutureQueries(evidence, from, positions, ops);
    Tensor keys = evidence.keys().slice(1, from, tokens);
    Tensor expected = ops.mean(ops.softmax(logits(queries, keys, ops)), 1);
    if (values) {
      Tensor norms = ops.l2Norm(evidence.values().slice(1, from, tokens), -1);
      expected = ops.multiply(ops.affine(expected, 1, epsilon), norms);
    }
    return Protected.tokens(ops.concat(List.of(skipped, expected), 1), from, 0, ops);
  }

  /** Returns {@code [kvHeads, group, tokens]}. */
  private Tensor logits(FutureQueries queries, Tensor keys, TensorOps ops) {
    int kvHeads = keys.shape().intDim(0);
    int tokens = keys.shape().intDim(1);
    int headDim = keys.shape().intDim(2);
    Tensor mean = Scores.grouped(queries.mean(ops), kvHeads);
    Tensor logits =
        ops.affine(
            ops.matmul(mean, ops.transpose(keys, 1, 2)), (float) (1 / Math.sqrt(headDim)), 0);
    if (covariance) {
      Tensor spread = Scores.grouped(queries.covariance(ops), kvHeads);
      Tensor ofGroup = keys.reshape(Shape.of(kvHeads, 1, tokens, headDim));
      Tensor variance = ops.sum(ops.multiply(ops.matmul(ofGroup, spread), ofGroup), -1);
      logits = ops.add(logits, ops.affine(variance, 0.5f / headDim, 0));
    }
    return logits;
  }
}
