package org.parallelcomp.backend.host;

/** The Cholesky decomposition in double precision. */
final class Cholesky {
  private Cholesky() {}

  /** Replaces the lower triangle of a matrix by that of L; returns false at a bad pivot. */
  static boolean decompose(double[][] a) {
    for (int i = 0; i < a.length; i++) {
      for (int j = 0; j <= i; j++) {
        double sum = a[i][j];
        for (int k = 0; k < j; k++) {
          sum -= a[i][k] * a[j][k];
        }
        if (j < i) {
          a[i][j] = sum / a[j][j];
        } else if (sum > 0) {
          a[i][i] = Math.sqrt(sum);
        } else {
          return false;
        }
      }
    }
    return true;
  }

  /** Solves {@code L Lᵀ x = b} in place of b. */
  static void substitute(double[][] lower, double[][] b) {
    int n = lower.length;
    for (int i = 0; i < n; i++) {
      for (int k = 0; k < i; k++) {
        subtractMultiple(b[i], lower[i][k], b[k]);
      }
      divide(b[i], lower[i][i]);
    }
    for (int i = n - 1; i >= 0; i--) {
      for (int k = i + 1; k < n; k++) {
        subtractMultiple(b[i], lower[k][i], b[k]);
      }
      divide(b[i], lower[i][i]);
    }
  }

  private static void subtractMultiple(double[] target, double factor, double[] row) {
    for (int column = 0; column < target.length; column++) {
      target[column] -= factor * row[column];
    }
  }

  private static void divide(double[] row, double divisor) {
    for (int column = 0; column < row.length; column++) {
      row[column] /= divisor;
    }
  }
}
