package org.parallelcomp.core.policies.score;

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
 * A token matters by what its value adds to the information that the values carry together.
 *
 * <p>Each token of the context behind the sinks gets the weight {@code w = exp(τ cos(k, q) - max)},
 * q being the mean of the context's queries as it is expected behind the context. With {@code A = I
 * + Σ (w + ε) v vᵀ} the score is the weighted leverage {@code w vᵀA⁻¹v}, averaged over the query
 * heads that share a kv head.
 *
 * <p><i>Based on</i> CapKV as NVIDIA's <a href="https://github.com/NVIDIA/kvpress">kvpress</a> has
 * it (CapPress).
 *
 * <p>Parameters: {@code tau} = 5; {@code positions} = 512, how many positions to come; {@code
 * sinks} = 4 tokens of the sequence that stay and do not count; {@code epsilon} = 1e-6.
 *
 * <p><i>Differs from the paper in</i> the cosine in place of the product, the shift by the maximum
 * and the mean rotation, as kvpress does.
 */
public final class CapKv implements TokenScorer {
  /** Makes the policy {@code cap-kv}. */
  public static final PolicyFactory<TokenScorer> FACTORY =
      new PolicyFactory<>(
          PolicyKind.TOKEN_SCORER,
          "cap-kv",
          "A token matters by what its value adds to the information of all values.",
          "Leverage of the values, weighted by the cosine of key and expected query. Based on CapPress of"
              + " NVIDIA's kvpress; differs from the method in the cosine and the mean rotation.",
          List.of(
              Parameter.number("tau", 5, 0, 1e3, "", "sharpness of the weights"),
              Parameter.integer(
                  "positions", 512, 1, "positions", "how many positions behind the context count"),
              Parameter.integer("sinks", 4, 0, "tokens", "first tokens of the sequence that stay"),
              Parameter.number("epsilon", 1e-6, 0, 1, "", "added to the weights inside A")),
          CapKv::new);

  private final float tau;
  private final int positions;
  private final int sinks;
  private final float epsilon;

  private CapKv(Parameters parameters) {
    this.tau = (float) parameters.number("tau");
    this.positions = parameters.integer("positions");
    this.sinks = parameters.integer("sinks");
    this.epsilon = (float) parameters.number("epsilon");
  }

  @Override
  public Set<Evidence> requires() {
    return Set.of(
        Evidence.KEYS, Evidence.VALUES, Evidence.UNROTATED_QUERIES, Evidence.MEAN_ROTATION);
  }

  @Override
  public Tensor score(LayerEvidence evidence, TensorOps ops) {
    int kvHeads = evidence.kvHeads();
    int tokens = evidence.contextTokens();
    int headDim = evidence.headDim();
    int from = Window.sinks(evidence, sinks);
    Tensor skipped = ops.full(Shape.of(kvHeads, from), 0);
    if (from == tokens) {
      return Protected.tokens(skipped, from, 0, ops);
    }
    Tensor query = new FutureQueries(evidence, from, positions, ops).mean(ops);
    Tensor direction = Scores.grouped(Scores.unit(query, ops), kvHeads);
    Tensor keys = Scores.unit(evidence.keys().slice(1, from, tokens), ops);
    Tensor logits = ops.affine(ops.matmul(direction, ops.transpose(keys, 1, 2)), tau, 0);
    Tensor weights = ops.exp(ops.subtract(logits, Scores.columns(ops.max(logits, -1))));

    Shape ofGroup = Shape.of(kvHeads, 1, tokens - from, headDim);
    Tensor values = evidence.values().slice(1, from, tokens).reshape(ofGroup);
    Tensor columns = ops.transpose(values, 2, 3);
    Tensor weighted = ops.multiply(values, Scores.columns(ops.affine(weights, 1, epsilon)));
    Tensor sum = ops.add(ops.matmul(columns, weighted), Scores.identity(headDim, 1, ops));
    Tensor solved = ops.transpose(ops.choleskySolve(sum, columns), 2, 3);
    Tensor leverage = ops.sum(ops.multiply(values, solved), -1);
    Tensor scores = ops.mean(ops.multiply(weights, leverage), 1);
    return Protected.tokens(ops.concat(List.of(skipped, scores), 1), from, 0, ops);
  }
}
