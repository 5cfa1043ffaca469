package org.parallelcomp.backend.cpu.vector.simd;

import static jdk.incubator.vector.VectorOperators.LSHL;
import static jdk.incubator.vector.VectorOperators.LT;
import static org.parallelcomp.backend.cpu.vector.simd.Species.FLOAT;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;

/** Powers on vectors. */
final class Exponential {
  /** log2(e): {@code e^x = 2^(x LOG2_E)}. */
  static final float LOG2_E = 1.442695040888963f;

  /** ln(2). */
  static final double LN_2 = 0.6931471805599453;

  /** 1.5 * 2^23: adding it rounds to a whole number, which is then in the lowest bits. */
  private static final float ROUNDER = 0x1.8p23f;

  /** Below this the result is taken for zero, so that no exponent leaves its range. */
  private static final float LOWEST = -125f;

  // Minimax polynomial of 2^f on [-1/2, 1/2], relative error 8e-8 with the rounding of the sums.
  private static final float C5 = 0x1.5c08e6p-10f;
  private static final float C4 = 0x1.3d0c52p-7f;
  private static final float C3 = 0x1.c6b6e4p-5f;
  private static final float C2 = 0x1.ebf918p-3f;
  private static final float C1 = 0x1.62e428p-1f;
  private static final float C0 = 0x1.000000p+0f;

  private Exponential() {}

  /**
   * Returns 2^x for x up to 127; zero below -125, also for negative infinity; NaN for NaN. The
   * relative error is below 2e-7.
   *
   * <p>{@code 2^x = 2^n 2^f} with n whole and f in [-1/2, 1/2]: a polynomial for the one factor, an
   * addition to the exponent for the other. The maximum of the Vector API, which must order NaN and
   * the two zeros, takes seven instructions; hence a comparison.
   */
  static FloatVector powerOfTwo(FloatVector x) {
    FloatVector rounded = x.add(ROUNDER);
    FloatVector f = x.sub(rounded.sub(ROUNDER));
    FloatVector power = f.fma(C5, C4).fma(f, FloatVector.broadcast(FLOAT, C3));
    power = power.fma(f, FloatVector.broadcast(FLOAT, C2));
    power = power.fma(f, FloatVector.broadcast(FLOAT, C1));
    power = power.fma(f, FloatVector.broadcast(FLOAT, C0));
    IntVector exponent = rounded.reinterpretAsInts().lanewise(LSHL, 23);
    FloatVector result = power.reinterpretAsInts().add(exponent).reinterpretAsFloats();
    return result.blend(0f, x.compare(LT, LOWEST));
  }
}
