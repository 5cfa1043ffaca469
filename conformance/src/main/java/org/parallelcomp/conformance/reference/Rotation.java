package org.parallelcomp.conformance.reference;

import org.parallelcomp.api.backend.Rope;

/** Turns the pairs of a head by the angles of a position, and back. */
final class Rotation {
  private final int pairs;
  private final Rope.Style style;
  private final double[] cosines;
  private final double[] sines;

  Rotation(Rope rope) {
    this.pairs = rope.rotaryDims() / 2;
    this.style = rope.style();
    this.cosines = ReferenceTensor.read(rope.cosines());
    this.sines = ReferenceTensor.read(rope.sines());
  }

  /** Turns the head that starts at an element to a position. */
  void turn(double[] x, int head, int position) {
    for (int i = 0; i < pairs; i++) {
      double cos = cosines[position * pairs + i];
      double sin = sines[position * pairs + i];
      turn(x, head + first(i), head + second(i), cos, sin);
    }
  }

  /** Undoes {@link #turn}. Scaled tables also stretch, so the inverse divides by the square. */
  void turnBack(double[] x, int head, int position) {
    for (int i = 0; i < pairs; i++) {
      double cos = cosines[position * pairs + i];
      double sin = sines[position * pairs + i];
      double square = cos * cos + sin * sin;
      turn(x, head + first(i), head + second(i), cos / square, -sin / square);
    }
  }

  private static void turn(double[] x, int first, int second, double cos, double sin) {
    double a = x[first];
    double b = x[second];
    x[first] = a * cos - b * sin;
    x[second] = a * sin + b * cos;
  }

  private int first(int pair) {
    return style == Rope.Style.INTERLEAVED ? 2 * pair : pair;
  }

  private int second(int pair) {
    return style == Rope.Style.INTERLEAVED ? 2 * pair + 1 : pair + pairs;
  }
}
