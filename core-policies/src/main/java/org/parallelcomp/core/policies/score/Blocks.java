package org.parallelcomp.core.policies.score;

import java.util.List;
import org.parallelcomp.api.backend.TensorOps;
import org.parallelcomp.api.tensor.Shape;
import org.parallelcomp.api.tensor.Tensor;

/** The context in blocks of equal length, of which the last may be shorter. */
public final class Blocks {
  private Blocks() {}

  /**
   * Returns each element replaced by the mean of its block.
   *
   * @param a {@code [heads, tokens]}
   * @param length tokens of a block; 0 for one block
   */
  public static Tensor means(Tensor a, int length, TensorOps ops) {
    int tokens = a.shape().intDim(1);
    int block = length == 0 ? tokens : Math.min(length, tokens);
    int whole = block == 0 ? 0 : tokens / block * block;
    Tensor before = repeatedMeans(a.slice(1, 0, whole), block, ops);
    return whole == tokens
        ? before
        : ops.concat(
            List.of(before, repeatedMeans(a.slice(1, whole, tokens), tokens - whole, ops)), 1);
  }

  private static Tensor repeatedMeans(Tensor a, int block, TensorOps ops) {
    if (a.shape().elements() == 0) {
      return a;
    }
    Tensor blocks = a.reshape(Shape.of(a.shape().dim(0), a.shape().dim(1) / block, block));
    Tensor means = Scores.columns(ops.mean(blocks, -1));
    return ops.add(means, ops.full(Shape.of(block), 0)).reshape(a.shape());
  }
}
