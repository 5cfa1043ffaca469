package org.parallelcomp.backend.cpu.vector.simd;

import static jdk.incubator.vector.VectorOperators.GT;
import static jdk.incubator.vector.VectorOperators.LT;
import static jdk.incubator.vector.VectorOperators.MAX;
import static org.parallelcomp.backend.cpu.vector.simd.Species.FLOAT;
import static org.parallelcomp.backend.cpu.vector.simd.Species.LANES;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorShuffle;

/** Kernels over rows of floats: output, inputs, sizes. */
public final class Elementwise {
  /** Exchanges the two numbers of each pair. */
  private static final VectorShuffle<Float> SWAP = VectorShuffle.fromOp(FLOAT, lane -> lane ^ 1);

  private Elementwise() {}

  /**
   * Returns the greatest of {@code count} numbers; NaN does not count; -infinity if there is none.
   */
  public static float max(float[] x, int x0, int count) {
    FloatVector greatest = FloatVector.broadcast(FLOAT, Float.NEGATIVE_INFINITY);
    int i = 0;
    for (; i <= count - LANES; i += LANES) {
      FloatVector value = FloatVector.fromArray(FLOAT, x, x0 + i);
      greatest = greatest.blend(value, greatest.compare(LT, value));
    }
    float max = greatest.reduceLanes(MAX);
    for (; i < count; i++) {
      max = x[x0 + i] > max ? x[x0 + i] : max;
    }
    return max;
  }

  /** Replaces each x by {@code 2^(x - max)} and returns the sum. */
  static float powersOfTwo(float[] x, int x0, int count, float max) {
    FloatVector sum = FloatVector.zero(FLOAT);
    for (int i = 0; i < count; i += LANES) {
      VectorMask<Float> inside = FLOAT.indexInRange(i, count);
      FloatVector power =
          Exponential.powerOfTwo(FloatVector.fromArray(FLOAT, x, x0 + i, inside).sub(max));
      power = power.blend(0f, inside.not());
      power.intoArray(x, x0 + i, inside);
      sum = sum.add(power);
    }
    return LaneSum.of(sum);
  }

  /** Returns the sum of {@code e^(x - max)}, rounded once per vector lane and block of 1024. */
  public static double sumOfExponentials(float[] x, int x0, int count, float max) {
    double total = 0;
    for (int block = 0; block < count; block += 1024) {
      int end = Math.min(block + 1024, count);
      FloatVector sum = FloatVector.zero(FLOAT);
      for (int i = block; i < end; i += LANES) {
        VectorMask<Float> inside = FLOAT.indexInRange(i, end);
        FloatVector difference = FloatVector.fromArray(FLOAT, x, x0 + i, inside).sub(max);
        FloatVector power = Exponential.powerOfTwo(difference.mul(Exponential.LOG2_E));
        sum = sum.add(power.blend(0f, inside.not()));
      }
      total += LaneSum.of(sum);
    }
    return total;
  }

  /** {@code out = in / sqrt(mean(in²) + epsilon) * weight}; out may be in. */
  public static void rmsNorm(
      float[] out, int out0, float[] in, int in0, float[] weight, int dim, float epsilon) {
    FloatVector squares0 = FloatVector.zero(FLOAT);
    FloatVector squares1 = FloatVector.zero(FLOAT);
    int i = 0;
    for (; i <= dim - 2 * LANES; i += 2 * LANES) {
      FloatVector x0 = FloatVector.fromArray(FLOAT, in, in0 + i);
      FloatVector x1 = FloatVector.fromArray(FLOAT, in, in0 + i + LANES);
      squares0 = x0.fma(x0, squares0);
      squares1 = x1.fma(x1, squares1);
    }
    double sum = LaneSum.of(squares0.add(squares1));
    for (; i < dim; i++) {
      sum += (double) in[in0 + i] * in[in0 + i];
    }
    float factor = (float) (1 / Math.sqrt(sum / dim + epsilon));
    i = 0;
    for (; i <= dim - LANES; i += LANES) {
      FloatVector.fromArray(FLOAT, in, in0 + i)
          .mul(factor)
          .mul(FloatVector.fromArray(FLOAT, weight, i))
          .intoArray(out, out0 + i);
    }
    for (; i < dim; i++) {
      out[out0 + i] = in[in0 + i] * factor * weight[i];
    }
  }

  /**
   * Rotates neighbouring pairs: {@code x_i = x_i cos_i + x_(i xor 1) sin_i}.
   *
   * @param cos [dims] the cosine of each pair, twice
   * @param sin [dims] the sine of each pair, first negative, then positive
   */
  public static void rotateInterleaved(float[] x, int x0, float[] cos, float[] sin, int dims) {
    int i = 0;
    for (; i <= dims - LANES; i += LANES) {
      FloatVector value = FloatVector.fromArray(FLOAT, x, x0 + i);
      FloatVector.fromArray(FLOAT, sin, i)
          .mul(value.rearrange(SWAP))
          .add(value.mul(FloatVector.fromArray(FLOAT, cos, i)))
          .intoArray(x, x0 + i);
    }
    for (; i < dims; i += 2) {
      float a = x[x0 + i];
      float b = x[x0 + i + 1];
      x[x0 + i] = b * sin[i] + a * cos[i];
      x[x0 + i + 1] = a * sin[i + 1] + b * cos[i + 1];
    }
  }

  /**
   * Rotates the pairs {@code (i, i + dims / 2)}.
   *
   * @param cos [dims / 2]
   * @param sin [dims / 2]
   */
  public static void rotateHalves(float[] x, int x0, float[] cos, float[] sin, int dims) {
    int half = dims / 2;
    int i = 0;
    for (; i <= half - LANES; i += LANES) {
      FloatVector a = FloatVector.fromArray(FLOAT, x, x0 + i);
      FloatVector b = FloatVector.fromArray(FLOAT, x, x0 + half + i);
      FloatVector c = FloatVector.fromArray(FLOAT, cos, i);
      FloatVector s = FloatVector.fromArray(FLOAT, sin, i);
      a.mul(c).sub(b.mul(s)).intoArray(x, x0 + i);
      b.mul(c).add(a.mul(s)).intoArray(x, x0 + half + i);
    }
    for (; i < half; i++) {
      float a = x[x0 + i];
      float b = x[x0 + half + i];
      x[x0 + i] = a * cos[i] - b * sin[i];
      x[x0 + half + i] = b * cos[i] + a * sin[i];
    }
  }

  /** {@code gate = gate / (1 + e^(-gate)) * up}. */
  public static void swiGlu(float[] gate, int gate0, float[] up, int up0, int count) {
    int i = 0;
    for (; i <= count - LANES; i += LANES) {
      FloatVector x = FloatVector.fromArray(FLOAT, gate, gate0 + i);
      FloatVector exponent = x.mul(-Exponential.LOG2_E);
      // Beyond 2^126 the quotient is zero to every digit.
      exponent = exponent.blend(126f, exponent.compare(GT, 126f));
      x.div(Exponential.powerOfTwo(exponent).add(1f))
          .mul(FloatVector.fromArray(FLOAT, up, up0 + i))
          .intoArray(gate, gate0 + i);
    }
    for (; i < count; i++) {
      float x = gate[gate0 + i];
      gate[gate0 + i] = (float) (x / (1 + Math.exp(-x)) * up[up0 + i]);
    }
  }

  /** {@code x += term}. */
  public static void add(float[] x, int x0, float[] term, int term0, int count) {
    int i = 0;
    for (; i <= count - LANES; i += LANES) {
      FloatVector.fromArray(FLOAT, x, x0 + i)
          .add(FloatVector.fromArray(FLOAT, term, term0 + i))
          .intoArray(x, x0 + i);
    }
    for (; i < count; i++) {
      x[x0 + i] += term[term0 + i];
    }
  }
}
