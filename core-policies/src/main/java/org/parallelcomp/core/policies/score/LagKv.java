package org.parallelcomp.core.policies.score;

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
 * A token matters the more, the more unevenly its channels stand out of what follows.
 *
 * <p>Behind the sinks the context is cut into partitions. Each channel of a partition's keys and
 * values is scaled by least and greatest number of that channel in the next partition; a token's
 * worth is the standard deviation over its channels, as softmax over its partition, averaged over
 * keys and values. The score is the rank of that worth in the partition, divided by its length;
 * sinks, the last partition and what follows it always come first.
 *
 * <p><i>Based on</i> LagKV, <a href="https://arxiv.org/abs/2504.04704">arXiv 2504.04704</a>.
 *
 * <p>Parameters: {@code sinks} = 4 tokens; {@code lag} = 128 tokens, the length of a partition.
 *
 * <p><i>Differs from the paper in</i> one cut over all ranks instead of a fixed number in each
 * partition (for that, see the selector {@code block-wise}); a channel that is constant in the next
 * partition counts as 0; and a context of fewer than two partitions, which the paper leaves alone,
 * keeps its budget of sinks and recent tokens.
 */
public final class LagKv implements TokenScorer {
  /** Makes the policy {@code lag-kv}. */
  public static final PolicyFactory<TokenScorer> FACTORY =
      new PolicyFactory<>(
          PolicyKind.TOKEN_SCORER,
          "lag-kv",
          "A token matters the more, the more unevenly its channels stand out of what follows.",
          "Rank, inside a partition, of the spread of keys and values scaled by the next partition."
              + " Based on LagKV (arXiv 2504.04704); differs in one cut over all partitions, and in"
              + " treating constant channels as 0.",
          List.of(
              Parameter.integer(
                  "sinks", 4, 0, "tokens", "first tokens of the sequence that always come first"),
              Parameter.integer("lag", 128, 1, "tokens", "length of a partition")),
          p -> new LagKv(p.integer("sinks"), p.integer("lag")));

  private final int sinks;
  private final int lag;

  private LagKv(int sinks, int lag) {
    this.sinks = sinks;
    this.lag = lag;
  }

  @Override
  public Set<Evidence> requires() {
    return Set.of(Evidence.KEYS, Evidence.VALUES);
  }

  @Override
  public Tensor score(LayerEvidence evidence, TensorOps ops) {
    int heads = evidence.kvHeads();
    int tokens = evidence.contextTokens();
    int from = Window.sinks(evidence, sinks);
    int partitions = (tokens - from) / lag;
    int to = from + Math.max(0, partitions - 1) * lag;
    Tensor ranks = ops.full(Shape.of(heads, tokens), 0);
    if (from < to) {
      int end = from + partitions * lag;
      Tensor worth =
          ops.add(
              standingOut(evidence.keys().slice(1, from, end), ops),
              standingOut(evidence.values().slice(1, from, end), ops));
      Tensor between = rank(worth, ops).reshape(Shape.of(heads, to - from));
      ranks = ops.concat(List.of(ranks.slice(1, 0, from), between, ranks.slice(1, to, tokens)), 1);
    }
    return Protected.tokens(ranks, from, tokens - to, ops);
  }

  /** Keys or values to {@code [kvHeads, partitions - 1, lag]}. */
  private Tensor standingOut(Tensor vectors, TensorOps ops) {
    long partitions = vectors.shape().dim(1) / lag;
    Tensor all =
        vectors.reshape(Shape.of(vectors.shape().dim(0), partitions, lag, vectors.shape().dim(2)));
    Tensor here = all.slice(1, 0, partitions - 1);
    Tensor next = all.slice(1, 1, partitions);
    Shape perChannel = here.shape().with(2, 1);
    Tensor least = ops.min(next, 2).reshape(perChannel);
    Tensor span = ops.subtract(ops.max(next, 2).reshape(perChannel), least);
    Tensor scaled = ops.divide(ops.subtract(here, least), span);
    Tensor known = ops.where(ops.greaterThan(span, 0), scaled, ops.full(Shape.of(1), 0));
    Tensor deviation = ops.subtract(known, Scores.columns(ops.mean(known, -1)));
    long channels = known.shape().dim(-1);
    Tensor variance =
        ops.affine(ops.sum(ops.multiply(deviation, deviation), -1), 1f / (channels - 1), 0);
    return ops.softmax(Scores.atLeast(ops.sqrt(variance), 0, ops));
  }

  /** Returns the share of its partition that a token is worth more than, equal later ones too. */
  private Tensor rank(Tensor worth, TensorOps ops) {
    Tensor position = ops.range(lag);
    Tensor isLater = ops.greaterThan(ops.subtract(position, Scores.columns(position)), 0);
    Tensor other = worth.reshape(Shape.of(worth.shape().dim(0), worth.shape().dim(1), 1, lag));
    Tensor lead = ops.subtract(Scores.columns(worth), other);
    // The smallest normal number decides between equals and is lost in every other difference.
    Tensor decided = ops.add(lead, ops.affine(isLater, Float.MIN_NORMAL, 0));
    return ops.mean(ops.greaterThan(decided, 0), -1);
  }
}
