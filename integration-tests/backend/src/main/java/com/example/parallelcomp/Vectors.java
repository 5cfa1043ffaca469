package com.example.parallelcomp;

import java.util.Arrays;

/** The two sums that everything else is made of. */
final class Vectors {
  private Vectors() {}

  /** Σ a_i b_i. */
  static double dot(double[] a, double[] b) {
    double sum = 0;
    for (int i = 0; i < a.length; i++) {
      sum += a[i] * b[i];
    }
    return sum;
  }

  /**
   * log Σ exp z_i, so that exp(z_i - logSumExp(z)) is the softmax. The maximum is taken off first,
   * or the exponents of large numbers would overflow; over nothing the sum is 0.
   */
  static double logSumExp(double[] z) {
    double max = Arrays.stream(z).max().orElse(Double.NEGATIVE_INFINITY);
    if (max == Double.NEGATIVE_INFINITY) {
      return max;
    }
    double sum = 0;
    for (double each : z) {
      sum += Math.exp(each - max);
    }
    return max + Math.log(sum);
  }
}
