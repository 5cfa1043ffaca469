package org.parallelcomp.core.policies;

import java.util.Arrays;
import java.util.Random;
import org.parallelcomp.api.backend.MemoryScope;
import org.parallelcomp.api.evidence.HeadReduction;
import org.parallelcomp.api.evidence.LayerEvidence;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Shape;
import org.parallelcomp.api.tensor.Tensor;
import org.parallelcomp.conformance.reference.ReferenceBackend;

/**
 * One layer's pass over {@code [prefix ; context ; query]} in plain doubles, from which a test
 * computes a policy's formula, and the evidence of it, which the policy sees. Rotations are
 * half-split, as in the Hugging Face implementation.
 *
 * @param backend computes
 * @param scope owns the evidence
 * @param layer the layer, from 0
 * @param layers how many there are
 * @param prefixTokens tokens before the context
 * @param contextTokens tokens to choose from
 * @param keptTokens the budget
 * @param frequencies angle per position of each pair of dimensions, {@code [headDim / 2]}
 * @param unrotatedQueries {@code [queryHeads][tokens][headDim]}
 * @param unrotatedKeyNumbers {@code [kvHeads][tokens][headDim]}
 * @param queries the same after RoPE
 * @param keyNumbers the same after RoPE
 * @param valueNumbers {@code [kvHeads][tokens][headDim]}
 * @param output {@code [queryHeads][headDim][hiddenDim]}
 */
public record PlainPass(
    ReferenceBackend backend,
    MemoryScope scope,
    int layer,
    int layers,
    int prefixTokens,
    int contextTokens,
    int keptTokens,
    double[] frequencies,
    double[][][] unrotatedQueries,
    double[][][] unrotatedKeyNumbers,
    double[][][] queries,
    double[][][] keyNumbers,
    double[][][] valueNumbers,
    double[][][] output)
    implements LayerEvidence {

  /**
   * Random numbers with outliers, a sink, repeated tokens (ties) and a channel that is constant in
   * keys and values; all are single-precision numbers.
   */
  public static PlainPass random(
      ReferenceBackend backend,
      MemoryScope scope,
      int seed,
      int queryHeads,
      int kvHeads,
      int headDim,
      int prefixTokens,
      int contextTokens,
      int queryTokens) {
    var random = new Random(seed);
    int tokens = prefixTokens + contextTokens + queryTokens;
    double[] frequencies = new double[headDim / 2];
    Arrays.setAll(frequencies, i -> Math.pow(10_000, -2.0 * i / headDim));
    double[][][] q = vectors(random, queryHeads, tokens, headDim);
    double[][][] k = vectors(random, kvHeads, tokens, headDim);
    double[][][] v = vectors(random, kvHeads, tokens, headDim);
    double[][][] o = vectors(random, queryHeads, headDim, 24);
    for (int h = 0; h < kvHeads; h++) {
      for (int t = 0; t < tokens; t++) {
        v[h][t][1] = 0.5;
        k[h][t][headDim - 1] = 0.25;
        k[h][t][headDim / 2 - 1] = -0.5;
        if (random.nextInt(6) == 0 && t > 0) {
          k[h][t] = k[h][t - 1].clone();
          v[h][t] = v[h][t - 1].clone();
        }
      }
    }
    return new PlainPass(
        backend,
        scope,
        1,
        4,
        prefixTokens,
        contextTokens,
        contextTokens / 2,
        frequencies,
        q,
        k,
        rotated(q, frequencies),
        rotated(k, frequencies),
        v,
        o);
  }

  private static double[][][] vectors(Random random, int heads, int tokens, int dims) {
    double[][][] numbers = new double[heads][tokens][dims];
    for (double[][] head : numbers) {
      for (double[] vector : head) {
        double scale = random.nextInt(20) == 0 ? 4 : 0.7;
        Arrays.setAll(vector, d -> (float) (scale * random.nextGaussian()));
      }
    }
    return numbers;
  }

  /** Each vector turned by the angles of its place in the pass, to single precision. */
  static double[][][] rotated(double[][][] vectors, double[] frequencies) {
    double[][][] out = new double[vectors.length][vectors[0].length][];
    for (int h = 0; h < vectors.length; h++) {
      for (int t = 0; t < vectors[h].length; t++) {
        out[h][t] = rotated(vectors[h][t], frequencies, t);
        for (int d = 0; d < out[h][t].length; d++) {
          out[h][t][d] = (float) out[h][t][d];
        }
      }
    }
    return out;
  }

  /** A vector turned to a position. */
  public static double[] rotated(double[] vector, double[] frequencies, int position) {
    int half = vector.length / 2;
    double[] out = new double[vector.length];
    for (int i = 0; i < half; i++) {
      double cos = Math.cos(position * frequencies[i]);
      double sin = Math.sin(position * frequencies[i]);
      out[i] = vector[i] * cos - vector[i + half] * sin;
      out[i + half] = vector[i] * sin + vector[i + half] * cos;
    }
    return out;
  }

  /** Returns this pass with another budget. */
  public PlainPass withKeptTokens(int kept) {
    return new PlainPass(
        backend,
        scope,
        layer,
        layers,
        prefixTokens,
        contextTokens,
        kept,
        frequencies,
        unrotatedQueries,
        unrotatedKeyNumbers,
        queries,
        keyNumbers,
        valueNumbers,
        output);
  }

  /** Returns this pass as that of another layer. */
  public PlainPass withLayer(int other) {
    return new PlainPass(
        backend,
        scope,
        other,
        layers,
        prefixTokens,
        contextTokens,
        keptTokens,
        frequencies,
        unrotatedQueries,
        unrotatedKeyNumbers,
        queries,
        keyNumbers,
        valueNumbers,
        output);
  }

  /** Returns how many tokens the pass has. */
  public int tokens() {
    return queries[0].length;
  }

  /** Returns the query heads that share a kv head. */
  public int group() {
    return queries.length / keyNumbers.length;
  }

  /** Returns a number of the context's keys, after RoPE. */
  public double[] key(int kvHead, int contextToken) {
    return keyNumbers[kvHead][prefixTokens + contextToken];
  }

  /** Returns a number of the context's values. */
  public double[] value(int kvHead, int contextToken) {
    return valueNumbers[kvHead][prefixTokens + contextToken];
  }

  /**
   * Returns the attention of a token to each token of the pass: softmax of q·k / sqrt(headDim) over
   * the tokens up to its own.
   */
  public double[] attention(int queryHead, int token) {
    double[] row = new double[tokens()];
    double sum = 0;
    double max = Double.NEGATIVE_INFINITY;
    for (int j = 0; j <= token; j++) {
      row[j] =
          dot(queries[queryHead][token], keyNumbers[queryHead / group()][j]) / Math.sqrt(headDim());
      max = Math.max(max, row[j]);
    }
    for (int j = 0; j <= token; j++) {
      row[j] = Math.exp(row[j] - max);
      sum += row[j];
    }
    for (int j = 0; j < row.length; j++) {
      row[j] = j <= token ? row[j] / sum : 0;
    }
    return row;
  }

  /** The formula of {@link LayerEvidence#attentionMass} for single query heads. */
  public double[][] mass(int window) {
    double[][] mass = new double[queryHeads()][contextTokens];
    int rows = Math.min(window == 0 ? queryTokens() : window, tokens() - prefixTokens);
    for (int g = 0; g < mass.length; g++) {
      for (int i = tokens() - rows; i < tokens(); i++) {
        double[] row = attention(g, i);
        for (int j = 0; j < contextTokens; j++) {
          mass[g][j] += row[prefixTokens + j];
        }
      }
    }
    return mass;
  }

  /** Returns the mean over the query heads of each kv head. */
  public double[][] meanOfGroups(double[][] perQueryHead) {
    double[][] mean = new double[kvHeads()][perQueryHead[0].length];
    for (int g = 0; g < perQueryHead.length; g++) {
      for (int j = 0; j < perQueryHead[g].length; j++) {
        mean[g / group()][j] += perQueryHead[g][j] / group();
      }
    }
    return mean;
  }

  /** Returns the scalar product. */
  public static double dot(double[] a, double[] b) {
    double sum = 0;
    for (int d = 0; d < a.length; d++) {
      sum += a[d] * b[d];
    }
    return sum;
  }

  /** Returns the Euclidean norm. */
  public static double norm(double[] a) {
    return Math.sqrt(dot(a, a));
  }

  @Override
  public int queryHeads() {
    return queries.length;
  }

  @Override
  public int kvHeads() {
    return keyNumbers.length;
  }

  @Override
  public int headDim() {
    return queries[0][0].length;
  }

  @Override
  public int queryTokens() {
    return tokens() - prefixTokens - contextTokens;
  }

  @Override
  public Tensor keys() {
    return context(keyNumbers);
  }

  @Override
  public Tensor values() {
    return context(valueNumbers);
  }

  @Override
  public Tensor contextQueries() {
    return context(queries);
  }

  @Override
  public Tensor unrotatedKeys() {
    return context(unrotatedKeyNumbers);
  }

  @Override
  public Tensor unrotatedContextQueries() {
    return context(unrotatedQueries);
  }

  @Override
  public Tensor windowQueries(int window) {
    throw new AssertionError("no policy here reads window queries");
  }

  @Override
  public Tensor attentionMass(int window, HeadReduction reduction) {
    double[][] mass = mass(window);
    return switch (reduction) {
      case NONE -> tensor(new double[][][] {mass}).reshape(Shape.of(queryHeads(), contextTokens));
      case MEAN ->
          tensor(new double[][][] {meanOfGroups(mass)}).reshape(Shape.of(kvHeads(), contextTokens));
      case MAX, MIN -> throw new AssertionError("no policy here asks for extremes");
    };
  }

  @Override
  public Tensor meanRotation(int positions) {
    return tensor(new double[][][] {rotation(positions)}).reshape(Shape.of(headDim(), headDim()));
  }

  /** Returns the mean of the rotation matrices of the positions behind the context. */
  public double[][] rotation(int positions) {
    int dims = headDim();
    double[][] mean = new double[dims][dims];
    for (int d = 0; d < dims; d++) {
      double[] axis = new double[dims];
      axis[d] = 1;
      for (int p = 0; p < positions; p++) {
        double[] turned = rotated(axis, frequencies, prefixTokens + contextTokens + p);
        for (int row = 0; row < dims; row++) {
          mean[row][d] += turned[row] / positions;
        }
      }
    }
    return mean;
  }

  @Override
  public Tensor outputProjection() {
    return tensor(output);
  }

  private Tensor context(double[][][] ofPass) {
    return tensor(ofPass).slice(1, prefixTokens, prefixTokens + contextTokens);
  }

  private Tensor tensor(double[][][] numbers) {
    int rows = numbers[0].length;
    int columns = numbers[0][0].length;
    float[] all = new float[numbers.length * rows * columns];
    for (int i = 0; i < all.length; i++) {
      all[i] = (float) numbers[i / columns / rows][i / columns % rows][i % columns];
    }
    Tensor tensor = scope.allocate(DType.F32, Shape.of(numbers.length, rows, columns));
    backend.host().copyFromHost(tensor, all);
    return tensor;
  }
}
