package org.parallelcomp.core.policies.score;

import org.parallelcomp.api.backend.TensorOps;
import org.parallelcomp.api.evidence.LayerEvidence;
import org.parallelcomp.api.tensor.Tensor;

/** The queries to come, guessed from those of the context behind its sinks. */
final class FutureQueries {
  private final Tensor centred;
  private final Tensor mean;
  private final Tensor turned;

  /**
   * @param sinks first tokens of the context that do not count
   * @param positions over how many positions behind the context the rotation is averaged
   */
  FutureQueries(LayerEvidence evidence, int sinks, int positions, TensorOps ops) {
    int tokens = evidence.contextTokens();
    Tensor queries = evidence.unrotatedContextQueries().slice(1, sinks, tokens);
    this.mean = ops.mean(queries, 1);
    this.centred = ops.subtract(queries, Scores.rows(mean));
    this.turned = ops.transpose(evidence.meanRotation(positions), 0, 1);
  }

  /** Returns their mean {@code R μ}, {@code [queryHeads, headDim]}. */
  Tensor mean(TensorOps ops) {
    return ops.matmul(mean, turned);
  }

  /** Returns their covariance {@code R Σ Rᵀ}, {@code [queryHeads, headDim, headDim]}. */
  Tensor covariance(TensorOps ops) {
    Tensor rotated = ops.matmul(centred, turned);
    Tensor products = ops.matmul(ops.transpose(rotated, 1, 2), rotated);
    return ops.affine(products, 1f / centred.shape().intDim(1), 0);
  }
}
