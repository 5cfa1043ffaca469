package com.example.parallelcomp;

import static com.example.parallelcomp.ScalarTensor.rows;

import org.parallelcomp.api.backend.Rope;

/**
 * Rotary position embedding: pair i of a head is a complex number a + ib, and position p multiplies
 * it by c_pi = cos + i sin of the table.
 */
final class Rotation {
  private final Rope.Style style;
  private final double[][] cosines;
  private final double[][] sines;
  private final int pairs;

  Rotation(Rope rope) {
    this.style = rope.style();
    this.cosines = rows(rope.cosines());
    this.sines = rows(rope.sines());
    this.pairs = rope.rotaryDims() / 2;
  }

  /** Multiplies every pair by c. */
  void turn(double[] head, int position) {
    for (int i = 0; i < pairs; i++) {
      multiply(head, i, cosines[position][i], sines[position][i]);
    }
  }

  /**
   * Divides every pair by c: multiplies by its conjugate over |c|², which is 1 unless stretched.
   */
  void turnBack(double[] head, int position) {
    for (int i = 0; i < pairs; i++) {
      double cos = cosines[position][i];
      double sin = sines[position][i];
      double square = cos * cos + sin * sin;
      multiply(head, i, cos / square, -sin / square);
    }
  }

  private void multiply(double[] head, int pair, double cos, double sin) {
    int first = style == Rope.Style.INTERLEAVED ? 2 * pair : pair;
    int second = style == Rope.Style.INTERLEAVED ? 2 * pair + 1 : pair + pairs;
    double a = head[first];
    double b = head[second];
    head[first] = a * cos - b * sin;
    head[second] = a * sin + b * cos;
  }
}
