package org.parallelcomp.core.policies;

import java.util.Random;
import org.parallelcomp.api.backend.MemoryScope;
import org.parallelcomp.api.evidence.HeadReduction;
import org.parallelcomp.api.evidence.LayerEvidence;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Shape;
import org.parallelcomp.api.tensor.Tensor;
import org.parallelcomp.conformance.reference.ReferenceBackend;

/**
 * A layer whose attention is given as plain numbers, to test policies against their formulas.
 *
 * @param layer the layer, from 0
 * @param layers how many there are
 * @param prefixTokens tokens before the context
 * @param kvHeads kv heads
 * @param probabilities {@code [queryHeads][queryTokens][contextTokens]}
 * @param keys {@code [kvHeads][contextTokens][headDim]}
 */
public record ObservedLayer(
    ReferenceBackend backend,
    MemoryScope scope,
    int layer,
    int layers,
    int prefixTokens,
    int kvHeads,
    double[][][] probabilities,
    double[][][] keyNumbers)
    implements LayerEvidence {

  /**
   * Random attention with outliers (a few keys above 0.1), plateaus of equal numbers and a key that
   * every query ignores.
   */
  public static double[][][] attention(Random random, int queryHeads, int queries, int tokens) {
    double[][][] p = new double[queryHeads][queries][tokens];
    for (double[][] head : p) {
      for (double[] row : head) {
        for (int j = 0; j < tokens; j++) {
          row[j] = (float) (random.nextInt(8) * 0x1p-10);
          if (random.nextInt(20) == 0) {
            row[j] = (float) (0.05 + 0.3 * random.nextDouble());
          }
        }
        row[tokens / 2] = 0;
      }
    }
    return p;
  }

  /** Returns a layer of which nothing was observed, for selectors that only look at scores. */
  public static ObservedLayer blank(
      ReferenceBackend backend, MemoryScope scope, int kvHeads, int tokens) {
    return new ObservedLayer(
        backend, scope, 0, 1, 0, kvHeads, new double[kvHeads][1][tokens], new double[0][0][0]);
  }

  @Override
  public int queryHeads() {
    return probabilities.length;
  }

  @Override
  public int headDim() {
    return keyNumbers[0][0].length;
  }

  @Override
  public int contextTokens() {
    return probabilities[0][0].length;
  }

  @Override
  public int queryTokens() {
    return probabilities[0].length;
  }

  @Override
  public Tensor keys() {
    float[] all = new float[kvHeads * contextTokens() * headDim()];
    int next = 0;
    for (double[][] head : keyNumbers) {
      for (double[] key : head) {
        for (double number : key) {
          all[next++] = (float) number;
        }
      }
    }
    return tensor(all, kvHeads, contextTokens(), headDim());
  }

  @Override
  public Tensor values() {
    throw new AssertionError("no policy here reads values");
  }

  @Override
  public Tensor windowQueries(int window) {
    throw new AssertionError("no policy here reads queries");
  }

  @Override
  public Tensor attentionMass(int window, HeadReduction reduction) {
    double[][] mass = mass(window, reduction);
    float[] all = new float[mass.length * contextTokens()];
    for (int i = 0; i < all.length; i++) {
      all[i] = (float) mass[i / contextTokens()][i % contextTokens()];
    }
    return tensor(all, mass.length, contextTokens());
  }

  @Override
  public int keptTokens() {
    return contextTokens();
  }

  @Override
  public Tensor contextQueries() {
    throw new AssertionError("no policy here reads queries");
  }

  @Override
  public Tensor unrotatedKeys() {
    throw new AssertionError("no policy here reads keys before RoPE");
  }

  @Override
  public Tensor unrotatedContextQueries() {
    throw new AssertionError("no policy here reads queries");
  }

  @Override
  public Tensor meanRotation(int positions) {
    throw new AssertionError("no policy here reads rotations");
  }

  @Override
  public Tensor outputProjection() {
    throw new AssertionError("no policy here reads weights");
  }

  /** The formula of {@link LayerEvidence#attentionMass}, plainly. */
  public double[][] mass(int window, HeadReduction reduction) {
    int rows = window == 0 ? queryTokens() : window;
    int group = queryHeads() / kvHeads;
    double[][] mass = new double[kvHeads][contextTokens()];
    for (int h = 0; h < kvHeads; h++) {
      for (int j = 0; j < contextTokens(); j++) {
        double sum = 0;
        double max = Double.NEGATIVE_INFINITY;
        double min = Double.POSITIVE_INFINITY;
        for (int g = h * group; g < (h + 1) * group; g++) {
          double head = 0;
          for (int i = queryTokens() - rows; i < queryTokens(); i++) {
            head += probabilities[g][i][j];
          }
          sum += head;
          max = Math.max(max, head);
          min = Math.min(min, head);
        }
        mass[h][j] =
            switch (reduction) {
              case MAX -> max;
              case MIN -> min;
              case MEAN -> sum / group;
              case NONE -> throw new AssertionError("no policy here asks for single heads");
            };
      }
    }
    return mass;
  }

  private Tensor tensor(float[] numbers, long... dims) {
    Tensor tensor = scope.allocate(DType.F32, Shape.of(dims));
    backend.host().copyFromHost(tensor, numbers);
    return tensor;
  }
}
