package org.parallelcomp.core.policies.score;

import java.util.ArrayList;
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
 * A token matters if its neighbours look at it and the other keys cannot stand in for its key.
 *
 * <p>{@link NonCausalAttention} and {@link LeverageScore} are each brought to mean 0 and variance 1
 * over the layer; the score is the first plus {@code blending} times the second. The first and the
 * last tokens of the context always stay and are not scored.
 *
 * <p><i>Based on</i> Compactor, <a href="https://arxiv.org/abs/2507.08143">arXiv 2507.08143</a>.
 *
 * <p>Parameters: {@code blending} = 0.5; {@code sinks} = 8 tokens and {@code recent} = 4 tokens,
 * which always stay; {@code block} = 256 tokens; {@code sketch} = 48 dimensions; {@code ridge} =
 * 0.01; {@code seed} = 0.
 *
 * <p><i>Differs from the paper in</i> one sketch for the whole context and being repeatable.
 */
public final class Compactor implements TokenScorer {
  /** Makes the policy {@code compactor}. */
  public static final PolicyFactory<TokenScorer> FACTORY =
      new PolicyFactory<>(
          PolicyKind.TOKEN_SCORER,
          "compactor",
          "A token matters if its neighbours look at it and no other key can stand in for it.",
          "Non-causal attention plus leverage scores, each normalised over the layer. Based on"
              + " Compactor (arXiv 2507.08143); differs in one seeded sketch for the whole context.",
          parameters(),
          Compactor::new);

  private final float blending;
  private final int sinks;
  private final int recent;
  private final int block;
  private final LeverageScore leverage;

  Compactor(Parameters parameters) {
    this.blending = (float) parameters.number("blending");
    this.sinks = parameters.integer("sinks");
    this.recent = parameters.integer("recent");
    this.block = parameters.integer("block");
    this.leverage = new LeverageScore(parameters);
  }

  private static List<Parameter> parameters() {
    var parameters = new ArrayList<Parameter>();
    parameters.add(Parameter.number("blending", 0.5, 0, 1e6, "", "weight of the leverage scores"));
    parameters.add(
        Parameter.integer("sinks", 8, 0, "tokens", "first tokens of the sequence that stay"));
    parameters.add(
        Parameter.integer("recent", 4, 0, "tokens", "last tokens of the context that stay"));
    parameters.add(Parameter.integer("block", 256, 1, "tokens", "length of a block"));
    parameters.addAll(LeverageScore.parameters());
    return List.copyOf(parameters);
  }

  @Override
  public Set<Evidence> requires() {
    return Set.of(
        Evidence.CONTEXT_QUERIES, Evidence.KEYS, Evidence.VALUES, Evidence.UNROTATED_KEYS);
  }

  @Override
  public Tensor score(LayerEvidence evidence, TensorOps ops) {
    int tokens = evidence.contextTokens();
    int from = Window.sinks(evidence, sinks);
    int to = Math.max(from, tokens - recent);
    Tensor none = ops.full(Shape.of(evidence.kvHeads(), tokens), 0);
    if (from == to) {
      return Protected.tokens(none, from, tokens - from, ops);
    }
    Tensor scored =
        score(
            evidence.contextQueries().slice(1, from, to),
            evidence.keys().slice(1, from, to),
            evidence.values().slice(1, from, to),
            leverage.score(evidence.unrotatedKeys().slice(1, from, to), evidence.layer(), ops),
            ops);
    Tensor all = ops.concat(List.of(none.slice(1, 0, from), scored, none.slice(1, to, tokens)), 1);
    return Protected.tokens(all, from, tokens - to, ops);
  }

  /** Returns the scores of the tokens between those that stay, {@code [kvHeads, tokens]}. */
  Tensor score(Tensor queries, Tensor keys, Tensor values, Tensor leverages, TensorOps ops) {
    Tensor attention = NonCausalAttention.score(queries, keys, values, block, ops);
    return ops.add(normalised(attention, ops), ops.affine(normalised(leverages, ops), blending, 0));
  }

  /** To mean 0 and variance 1 over those of all heads and tokens that are numbers. */
  private static Tensor normalised(Tensor scores, TensorOps ops) {
    Tensor all = scores.reshape(Shape.of(1, scores.shape().elements()));
    Tensor none = ops.full(Shape.of(1), 0);
    Tensor isNumber = ops.greaterThan(all, Float.NEGATIVE_INFINITY);
    Tensor count = ops.sum(isNumber, 1);
    Tensor mean = ops.divide(ops.sum(ops.where(isNumber, all, none), 1), count);
    Tensor deviation = ops.subtract(all, mean);
    Tensor squares = ops.where(isNumber, ops.multiply(deviation, deviation), none);
    Tensor variance = ops.divide(ops.sum(squares, 1), ops.affine(count, 1, -1));
    Tensor standard = Scores.atLeast(ops.sqrt(variance), 1e-6f, ops);
    return ops.divide(deviation, standard).reshape(scores.shape());
  }
}
