package org.parallelcomp.backend.cpu.vector;

import org.parallelcomp.api.backend.Rope;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.backend.cpu.vector.simd.Elementwise;
import org.parallelcomp.backend.host.HostMemory;
import org.parallelcomp.backend.host.Rows;

/** Rows of a rotary table in the form that the kernels want. */
final class RopeTable {
  private final Rows cosines;
  private final Rows sines;
  private final int half;
  private final boolean interleaved;

  private RopeTable(HostMemory memory, Rope rope) {
    cosines = memory.floats(rope.cosines());
    sines = memory.floats(rope.sines());
    half = cosines.length();
    interleaved = rope.style() == Rope.Style.INTERLEAVED;
  }

  static RopeTable of(HostMemory memory, Rope rope) {
    return new RopeTable(memory, rope);
  }

  /** Returns how many dimensions of a head are rotated. */
  int dims() {
    return 2 * half;
  }

  /** Loads a position's row; the arrays have room for dims numbers. */
  void load(int position, float[] cos, float[] sin) {
    requirePosition(position);
    cosines.read(position, cos, 0);
    sines.read(position, sin, 0);
    spread(cos, sin);
  }

  /**
   * Loads the rotation from one position to another; the arrays have room for 4 dims numbers. A
   * table may scale what it rotates (arXiv 2309.00071), which a key has had done to it already, so
   * the difference of the angles is divided by the square of that.
   */
  void loadDifference(int to, int from, float[] cos, float[] sin) {
    requirePosition(from);
    requirePosition(to);
    int spare = 2 * half;
    cosines.read(to, cos, spare);
    sines.read(to, sin, spare);
    cosines.read(from, cos, spare + half);
    sines.read(from, sin, spare + half);
    for (int i = 0; i < half; i++) {
      double toCos = cos[spare + i];
      double toSin = sin[spare + i];
      double fromCos = cos[spare + half + i];
      double fromSin = sin[spare + half + i];
      double square = fromCos * fromCos + fromSin * fromSin;
      cos[i] = (float) ((toCos * fromCos + toSin * fromSin) / square);
      sin[i] = (float) ((toSin * fromCos - toCos * fromSin) / square);
    }
    spread(cos, sin);
  }

  /** Rotates one head. */
  void rotate(float[] head, int at, float[] cos, float[] sin) {
    if (interleaved) {
      Elementwise.rotateInterleaved(head, at, cos, sin, 2 * half);
    } else {
      Elementwise.rotateHalves(head, at, cos, sin, 2 * half);
    }
  }

  /** For neighbouring pairs: each cosine twice; each sine twice, the first time negative. */
  private void spread(float[] cos, float[] sin) {
    if (interleaved) {
      for (int i = half - 1; i >= 0; i--) {
        float c = cos[i];
        float s = sin[i];
        cos[2 * i] = c;
        cos[2 * i + 1] = c;
        sin[2 * i] = -s;
        sin[2 * i + 1] = s;
      }
    }
  }

  private void requirePosition(int position) {
    if (position < 0 || position >= cosines.count()) {
      throw new InferenceException(
          ErrorCode.INTERNAL,
          "Position "
              + position
              + " is outside of the "
              + cosines.count()
              + " positions of the rotary table.");
    }
  }
}
