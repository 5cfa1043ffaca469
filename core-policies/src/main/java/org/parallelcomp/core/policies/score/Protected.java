package org.parallelcomp.core.policies.score;

import org.parallelcomp.api.backend.TensorOps;
import org.parallelcomp.api.tensor.Shape;
import org.parallelcomp.api.tensor.Tensor;

/**
 * Scores of tokens that stay whatever the others' scores: above every other score, none equal to
 * another, so that ties and NaN cannot evict one and a budget that is too small for them keeps the
 * sinks, first the earliest, and then the latest of the recent tokens.
 */
public final class Protected {
  /** No other score is above this; 2^100 and more are protected. */
  private static final float HIGHEST = 0x1p99f;

  private Protected() {}

  /**
   * Returns scores in which the first and the last tokens are protected.
   *
   * @param scores {@code [kvHeads, tokens]}
   * @param sinks how many tokens at the beginning are protected
   * @param recent how many tokens at the end are protected
   */
  public static Tensor tokens(Tensor scores, int sinks, int recent, TensorOps ops) {
    int tokens = scores.shape().intDim(1);
    if (sinks + recent == 0) {
      return scores;
    }
    Tensor position = ops.range(tokens);
    Tensor isBehindSinks = ops.greaterThan(position, sinks - 0.5f);
    Tensor isRecent = ops.greaterThan(position, tokens - recent - 0.5f);
    // Neighbouring floats are 2^77 apart from 2^100 on, and 2^102 apart below 2^126.
    Tensor later = ops.affine(position, 0x1p77f, 0x1p100f);
    Tensor earlier = ops.affine(position, -0x1p102f, 0x1p126f);
    Tensor highest = ops.full(Shape.of(1), HIGHEST);
    Tensor others = ops.where(ops.greaterThan(scores, HIGHEST), highest, scores);
    return ops.where(isBehindSinks, ops.where(isRecent, later, others), earlier);
  }

  /** Returns 1 where a score is that of a protected token and 0 elsewhere. */
  public static Tensor mask(Tensor scores, TensorOps ops) {
    return ops.greaterThan(scores, HIGHEST);
  }
}
