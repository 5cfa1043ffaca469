package org.parallelcomp.core.policies.score;

import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.parallelcomp.api.backend.TensorOps;
import org.parallelcomp.api.evidence.Evidence;
import org.parallelcomp.api.evidence.LayerEvidence;
import org.parallelcomp.api.policy.Parameter;
import org.parallelcomp.api.policy.PolicyFactory;
import org.parallelcomp.api.policy.PolicyKind;
import org.parallelcomp.api.policy.TokenScorer;
import org.parallelcomp.api.tensor.Shape;
import org.parallelcomp.api.tensor.Tensor;

/**
 * A token matters as much as its neighbours on both sides look at it, by the length of its value.
 *
 * <p>The context is cut into blocks. Inside a block every token looks at every other, earlier or
 * later, by the softmax of the bare products of query and key; what a key receives is averaged over
 * the query heads of a group, multiplied by the norm of its value and averaged over three
 * neighbours. No question is needed.
 *
 * <p><i>Based on</i> Compactor, <a href="https://arxiv.org/abs/2507.08143">arXiv 2507.08143</a>.
 *
 * <p>Parameters: {@code block} = 256 tokens.
 *
 * <p><i>Differs from the paper in</i> leaving the final normalisation out, which ranks alike.
 */
public final class NonCausalAttention implements TokenScorer {
  /** Makes the policy {@code non-causal-attention}. */
  public static final PolicyFactory<TokenScorer> FACTORY =
      new PolicyFactory<>(
          PolicyKind.TOKEN_SCORER,
          "non-causal-attention",
          "A token matters as much as its neighbours on both sides look at it.",
          "Column sums of non-causal attention inside blocks, times the norm of the value, averaged"
              + " over three neighbours. Based on Compactor (arXiv 2507.08143).",
          List.of(Parameter.integer("block", 256, 1, "tokens", "length of a block")),
          p -> new NonCausalAttention(p.integer("block")));

  private final int block;

  private NonCausalAttention(int block) {
    this.block = block;
  }

  @Override
  public Set<Evidence> requires() {
    return Set.of(Evidence.CONTEXT_QUERIES, Evidence.KEYS, Evidence.VALUES);
  }

  @Override
  public Tensor score(LayerEvidence evidence, TensorOps ops) {
    return score(evidence.contextQueries(), evidence.keys(), evidence.values(), block, ops);
  }

  /**
   * Returns the scores {@code [kvHeads, tokens]} of some tokens.
   *
   * @param queries {@code [queryHeads, tokens, headDim]}
   * @param keys {@code [kvHeads, tokens, headDim]}
   * @param values as keys
   */
  static Tensor score(Tensor queries, Tensor keys, Tensor values, int block, TensorOps ops) {
    int kvHeads = keys.shape().intDim(0);
    int tokens = keys.shape().intDim(1);
    long headDim = keys.shape().dim(2);
    long group = queries.shape().dim(0) / kvHeads;
    var received = new ArrayList<Tensor>();
    for (int from = 0; from < tokens; from += block) {
      int length = Math.min(block, tokens - from);
      Tensor looking =
          queries.slice(1, from, from + length).reshape(Shape.of(kvHeads, group, length, headDim));
      Tensor seen = ops.transpose(keys.slice(1, from, from + length), 1, 2);
      Tensor logits = ops.matmul(looking, seen.reshape(Shape.of(kvHeads, 1, headDim, length)));
      received.add(ops.mean(ops.sum(ops.softmax(logits), 2), 1));
    }
    Tensor weighted = ops.multiply(ops.concat(received, 1), ops.l2Norm(values, -1));
    return ops.averagePool1d(weighted, 3);
  }
}
