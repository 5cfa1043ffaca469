package org.parallelcomp.conformance;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.SplittableRandom;
import java.util.function.DoubleUnaryOperator;
import java.util.stream.DoubleStream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.parallelcomp.api.tensor.DType;

/**
 * The bounds of 16-bit types let correctly rounded implementations pass, whatever the data, and
 * none that rounds to a bit less.
 */
class BoundTest {
  private enum Type {
    F16(DType.F16, 11),
    BF16(DType.BF16, 8);

    final DType dtype;
    final int bits;

    Type(DType dtype, int bits) {
      this.dtype = dtype;
      this.bits = bits;
    }

    double unitRoundoff() {
      return Math.scalb(1, -bits);
    }
  }

  /** Rounds to the nearest number of so many significant bits; what is next to nothing stays. */
  private static DoubleUnaryOperator rounding(int bits) {
    return x -> {
      double unit = Math.scalb(1, Math.getExponent(x) - bits + 1);
      return Math.abs(x) < 1e-30 ? x : Math.rint(x / unit) * unit;
    };
  }

  private static final DoubleUnaryOperator EXACT = x -> x;

  /** The kit's data: normally distributed, one in fifty ten times as large. */
  private static double[] numbers(SplittableRandom random, int count) {
    return DoubleStream.generate(() -> random.nextGaussian() * (random.nextInt(50) == 0 ? 10 : 1))
        .limit(count)
        .toArray();
  }

  private static double squaredError(double[] wanted, double[] got) {
    double error = 0;
    double size = 0;
    for (int i = 0; i < wanted.length; i++) {
      error += (got[i] - wanted[i]) * (got[i] - wanted[i]);
      size += wanted[i] * wanted[i];
    }
    return error / size;
  }

  @ParameterizedTest
  @EnumSource
  void theBoundsAreTheRoundingsThatTheySay(Type type) {
    double u = type.unitRoundoff();
    // Rounded up by a twentieth at most.
    assertEquals(1.025, Bound.ofWeights(type.dtype).squaredError() / (4 * u * u), 0.025);
    assertEquals(1.025, Bound.ofCache(type.dtype).squaredError() / (16 * u * u), 0.025);
    assertEquals(Bound.ofWeights(type.dtype), Bound.ofRotated(type.dtype));
  }

  private static double[] linear(
      double[] x, double[] w, int outputs, DoubleUnaryOperator rounding) {
    double[] y = new double[outputs];
    for (int j = 0; j < outputs; j++) {
      for (int k = 0; k < x.length; k++) {
        y[j] += rounding.applyAsDouble(x[k]) * w[j * x.length + k];
      }
      y[j] = rounding.applyAsDouble(y[j]);
    }
    return y;
  }

  /** The largest error over many draws, of a layer of 13 outputs that rounds inputs and outputs. */
  private static double worstLinear(Type type, int inputs, int bits) {
    double worst = 0;
    for (int seed = 0; seed < 500; seed++) {
      var random = new SplittableRandom(seed);
      double[] x = numbers(random, inputs);
      double[] w = numbers(random, 13 * inputs);
      for (int i = 0; i < w.length; i++) {
        w[i] = rounding(type.bits).applyAsDouble(w[i]);
      }
      double[] exact = linear(x, w, 13, EXACT);
      worst = Math.max(worst, squaredError(exact, linear(x, w, 13, rounding(bits))));
    }
    return worst;
  }

  @ParameterizedTest
  @EnumSource
  void roundedProductsPassAndProductsOfTwoBitsLessDoNot(Type type) {
    double bound = Bound.ofWeights(type.dtype).squaredError();
    for (int inputs : new int[] {1, 7, 64, 207}) {
      double error = worstLinear(type, inputs, type.bits);
      assertTrue(error <= bound, inputs + " inputs: " + error);
    }
    assertTrue(worstLinear(type, 1, type.bits - 2) > bound);
  }

  private static double[] attention(
      double[] q, double[] k, double[] v, int tokens, DoubleUnaryOperator rounding) {
    int dim = q.length;
    double[] s = new double[tokens];
    double max = Double.NEGATIVE_INFINITY;
    for (int j = 0; j < tokens; j++) {
      for (int d = 0; d < dim; d++) {
        s[j] += rounding.applyAsDouble(q[d]) * k[j * dim + d] / Math.sqrt(dim);
      }
      max = Math.max(max, s[j]);
    }
    double sum = 0;
    double[] y = new double[dim];
    for (int j = 0; j < tokens; j++) {
      double p = Math.exp(s[j] - max);
      sum += p;
      for (int d = 0; d < dim; d++) {
        y[d] += rounding.applyAsDouble(p) * v[j * dim + d];
      }
    }
    for (int d = 0; d < dim; d++) {
      y[d] = rounding.applyAsDouble(y[d] / sum);
    }
    return y;
  }

  /** The largest error over some draws of 64 queries, as the kit measures them together. */
  private static double worstAttention(Type type, int tokens, int dim, int bits) {
    double worst = 0;
    for (int seed = 0; seed < 20; seed++) {
      var random = new SplittableRandom(seed);
      double[] exact = new double[64 * dim];
      double[] rounded = new double[64 * dim];
      for (int query = 0; query < 64; query++) {
        double[] q = numbers(random, dim);
        double[] k = numbers(random, tokens * dim);
        double[] v = numbers(random, tokens * dim);
        for (int i = 0; i < k.length; i++) {
          k[i] = rounding(type.bits).applyAsDouble(k[i]);
          v[i] = rounding(type.bits).applyAsDouble(v[i]);
        }
        System.arraycopy(attention(q, k, v, tokens, EXACT), 0, exact, query * dim, dim);
        System.arraycopy(attention(q, k, v, tokens, rounding(bits)), 0, rounded, query * dim, dim);
      }
      worst = Math.max(worst, squaredError(exact, rounded));
    }
    return worst;
  }

  @ParameterizedTest
  @EnumSource
  void roundedAttentionPassesAndThatOfThreeBitsLessDoesNot(Type type) {
    double bound = Bound.ofCache(type.dtype).squaredError();
    for (int tokens : new int[] {1, 13, 207}) {
      for (int dim : new int[] {32, 64}) {
        double error = worstAttention(type, tokens, dim, type.bits);
        assertTrue(error <= bound, tokens + " tokens, head " + dim + ": " + error);
      }
    }
    assertTrue(worstAttention(type, 207, 64, type.bits - 3) > bound);
  }
}
