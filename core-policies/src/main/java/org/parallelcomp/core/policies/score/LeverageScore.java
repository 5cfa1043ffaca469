package org.parallelcomp.core.policies.score;

import java.util.List;
import java.util.Set;
import java.util.SplittableRandom;
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
 * A token matters the more, the less the other keys can stand in for its key.
 *
 * <p>The keys before RoPE, less their mean, are multiplied by a Gaussian sketch to a matrix X. The
 * score is the leverage of a token's row, {@code x (XᵀX + ridge I)⁻¹ xᵀ}: outliers among the keys
 * have the greatest. No query is observed.
 *
 * <p><i>Based on</i> Compactor, <a href="https://arxiv.org/abs/2507.08143">arXiv 2507.08143</a>.
 *
 * <p>Parameters: {@code sketch} = 48 dimensions; {@code ridge} = 0.01; {@code seed} = 0, of the
 * sketch, which is the same for all heads and another in each layer.
 *
 * <p><i>Differs from the paper in</i> being repeatable, and in leaving the final normalisation out,
 * which ranks alike.
 */
public final class LeverageScore implements TokenScorer {
  /** Makes the policy {@code leverage}. */
  public static final PolicyFactory<TokenScorer> FACTORY =
      new PolicyFactory<>(
          PolicyKind.TOKEN_SCORER,
          "leverage",
          "A token matters the more, the less the other keys can stand in for its key.",
          "Leverage scores of the keys before RoPE under a seeded Gaussian sketch. Based on"
              + " Compactor (arXiv 2507.08143); differs in being repeatable.",
          parameters(),
          LeverageScore::new);

  private final int sketchDim;
  private final float ridge;
  private final long seed;

  LeverageScore(Parameters parameters) {
    this.sketchDim = parameters.integer("sketch");
    this.ridge = (float) parameters.number("ridge");
    this.seed = parameters.longInteger("seed");
  }

  static List<Parameter> parameters() {
    return List.of(
        Parameter.integer("sketch", 48, 1, "dimensions", "width of the Gaussian sketch"),
        Parameter.number(
            "ridge", 0.01, 1e-6, 1e6, "", "added to the diagonal, so that it can be solved"),
        Parameter.integer("seed", 0, Long.MIN_VALUE, "", "seed of the sketch"));
  }

  @Override
  public Set<Evidence> requires() {
    return Set.of(Evidence.UNROTATED_KEYS);
  }

  @Override
  public Tensor score(LayerEvidence evidence, TensorOps ops) {
    return score(evidence.unrotatedKeys(), evidence.layer(), ops);
  }

  /** Returns the scores of some tokens of a layer by their keys before RoPE. */
  Tensor score(Tensor keys, int layer, TensorOps ops) {
    int headDim = keys.shape().intDim(2);
    return score(keys, ops.constant(Shape.of(headDim, sketchDim), sketch(layer, headDim)), ops);
  }

  /** Gaussian numbers of variance 1 / sketchDim, which keep lengths on average. */
  private float[] sketch(int layer, int headDim) {
    SplittableRandom random = Seeds.random(seed, layer);
    float[] sketch = new float[headDim * sketchDim];
    for (int i = 0; i < sketch.length; i++) {
      sketch[i] = (float) (random.nextGaussian() / Math.sqrt(sketchDim));
    }
    return sketch;
  }

  /**
   * Returns the leverage of every key, {@code [kvHeads, tokens]}.
   *
   * @param keys {@code [kvHeads, tokens, headDim]}
   * @param sketch {@code [headDim, sketchDim]}, perhaps one for each head
   */
  Tensor score(Tensor keys, Tensor sketch, TensorOps ops) {
    Shape keyDims = keys.shape();
    Tensor centre = ops.mean(keys, 1).reshape(keyDims.with(1, 1));
    Tensor rows = ops.matmul(ops.subtract(keys, centre), sketch);
    Tensor columns = ops.transpose(rows, 1, 2);
    Tensor gram =
        ops.add(ops.matmul(columns, rows), Scores.identity(sketch.shape().intDim(-1), ridge, ops));
    Tensor solved = ops.transpose(ops.choleskySolve(gram, columns), 1, 2);
    return Scores.atLeast(ops.sum(ops.multiply(rows, solved), -1), 0, ops);
  }
}
