package org.parallelcomp.backend.cpu.vector.simd;

import static org.parallelcomp.backend.cpu.vector.simd.Species.FLOAT;
import static org.parallelcomp.backend.cpu.vector.simd.Species.LANES;

import jdk.incubator.vector.FloatVector;

/**
 * The innermost loop of {@link PanelMatmul}: a block of C that stays in registers while k runs.
 *
 * <p>Both kernels are {@code ROWS x COLUMNS}, with COLUMNS two vectors wide:
 *
 * <pre>
 *   a: [ROWS][DEPTH]        row-major, row stride DEPTH floats
 *   b: [depth][COLUMNS]     row-major, one panel of W transposed
 *   c: [ROWS][COLUMNS]      row-major, c += a * b
 * </pre>
 *
 * <p>12 rows take 24 accumulators, 2 vectors of b and a broadcast: 27 of the 32 registers of
 * AVX-512; 14 loads feed 24 multiply-adds, and two of each start in a cycle. 6 rows take 12 + 2 + 1
 * of the 16 registers of AVX2. The accumulators are local variables, loaded and stored in the same
 * method: handed to a helper that is not inlined they would be boxed (measured: 5 % of peak).
 */
final class RegisterTile {

  /** Longest run of k in one call, and the row stride of {@code a}, in floats. */
  static final int DEPTH = 192;

  /** Columns of C in a tile. */
  static final int COLUMNS = 2 * LANES;

  /** Rows of C in a tile. */
  static final int ROWS = LANES == 16 ? 12 : 6;

  private RegisterTile() {}

  /** c += a * b for {@link #ROWS} rows; {@code depth} is the number of k, at most DEPTH. */
  static void multiply(float[] a, int a0, float[] b, int b0, float[] c, int c0, int depth) {
    if (ROWS == 12) {
      multiply12(a, a0, b, b0, c, c0, depth);
    } else {
      multiply6(a, a0, b, b0, c, c0, depth);
    }
  }

  private static void multiply12(
      float[] a, int a0, float[] b, int b0, float[] c, int c0, int depth) {
    FloatVector c0L = FloatVector.fromArray(FLOAT, c, c0);
    FloatVector c0R = FloatVector.fromArray(FLOAT, c, c0 + LANES);
    FloatVector c1L = FloatVector.fromArray(FLOAT, c, c0 + 1 * COLUMNS);
    FloatVector c1R = FloatVector.fromArray(FLOAT, c, c0 + 1 * COLUMNS + LANES);
    FloatVector c2L = FloatVector.fromArray(FLOAT, c, c0 + 2 * COLUMNS);
    FloatVector c2R = FloatVector.fromArray(FLOAT, c, c0 + 2 * COLUMNS + LANES);
    FloatVector c3L = FloatVector.fromArray(FLOAT, c, c0 + 3 * COLUMNS);
    FloatVector c3R = FloatVector.fromArray(FLOAT, c, c0 + 3 * COLUMNS + LANES);
    FloatVector c4L = FloatVector.fromArray(FLOAT, c, c0 + 4 * COLUMNS);
    FloatVector c4R = FloatVector.fromArray(FLOAT, c, c0 + 4 * COLUMNS + LANES);
    FloatVector c5L = FloatVector.fromArray(FLOAT, c, c0 + 5 * COLUMNS);
    FloatVector c5R = FloatVector.fromArray(FLOAT, c, c0 + 5 * COLUMNS + LANES);
    FloatVector c6L = FloatVector.fromArray(FLOAT, c, c0 + 6 * COLUMNS);
    FloatVector c6R = FloatVector.fromArray(FLOAT, c, c0 + 6 * COLUMNS + LANES);
    FloatVector c7L = FloatVector.fromArray(FLOAT, c, c0 + 7 * COLUMNS);
    FloatVector c7R = FloatVector.fromArray(FLOAT, c, c0 + 7 * COLUMNS + LANES);
    FloatVector c8L = FloatVector.fromArray(FLOAT, c, c0 + 8 * COLUMNS);
    FloatVector c8R = FloatVector.fromArray(FLOAT, c, c0 + 8 * COLUMNS + LANES);
    FloatVector c9L = FloatVector.fromArray(FLOAT, c, c0 + 9 * COLUMNS);
    FloatVector c9R = FloatVector.fromArray(FLOAT, c, c0 + 9 * COLUMNS + LANES);
    FloatVector c10L = FloatVector.fromArray(FLOAT, c, c0 + 10 * COLUMNS);
    FloatVector c10R = FloatVector.fromArray(FLOAT, c, c0 + 10 * COLUMNS + LANES);
    FloatVector c11L = FloatVector.fromArray(FLOAT, c, c0 + 11 * COLUMNS);
    FloatVector c11R = FloatVector.fromArray(FLOAT, c, c0 + 11 * COLUMNS + LANES);
    for (int k = 0; k < depth; k++) {
      FloatVector bL = FloatVector.fromArray(FLOAT, b, b0 + k * COLUMNS);
      FloatVector bR = FloatVector.fromArray(FLOAT, b, b0 + k * COLUMNS + LANES);
      FloatVector ak = FloatVector.broadcast(FLOAT, a[a0 + k]);
      c0L = ak.fma(bL, c0L);
      c0R = ak.fma(bR, c0R);
      ak = FloatVector.broadcast(FLOAT, a[a0 + 1 * DEPTH + k]);
      c1L = ak.fma(bL, c1L);
      c1R = ak.fma(bR, c1R);
      ak = FloatVector.broadcast(FLOAT, a[a0 + 2 * DEPTH + k]);
      c2L = ak.fma(bL, c2L);
      c2R = ak.fma(bR, c2R);
      ak = FloatVector.broadcast(FLOAT, a[a0 + 3 * DEPTH + k]);
      c3L = ak.fma(bL, c3L);
      c3R = ak.fma(bR, c3R);
      ak = FloatVector.broadcast(FLOAT, a[a0 + 4 * DEPTH + k]);
      c4L = ak.fma(bL, c4L);
      c4R = ak.fma(bR, c4R);
      ak = FloatVector.broadcast(FLOAT, a[a0 + 5 * DEPTH + k]);
      c5L = ak.fma(bL, c5L);
      c5R = ak.fma(bR, c5R);
      ak = FloatVector.broadcast(FLOAT, a[a0 + 6 * DEPTH + k]);
      c6L = ak.fma(bL, c6L);
      c6R = ak.fma(bR, c6R);
      ak = FloatVector.broadcast(FLOAT, a[a0 + 7 * DEPTH + k]);
      c7L = ak.fma(bL, c7L);
      c7R = ak.fma(bR, c7R);
      ak = FloatVector.broadcast(FLOAT, a[a0 + 8 * DEPTH + k]);
      c8L = ak.fma(bL, c8L);
      c8R = ak.fma(bR, c8R);
      ak = FloatVector.broadcast(FLOAT, a[a0 + 9 * DEPTH + k]);
      c9L = ak.fma(bL, c9L);
      c9R = ak.fma(bR, c9R);
      ak = FloatVector.broadcast(FLOAT, a[a0 + 10 * DEPTH + k]);
      c10L = ak.fma(bL, c10L);
      c10R = ak.fma(bR, c10R);
      ak = FloatVector.broadcast(FLOAT, a[a0 + 11 * DEPTH + k]);
      c11L = ak.fma(bL, c11L);
      c11R = ak.fma(bR, c11R);
    }
    c0L.intoArray(c, c0);
    c0R.intoArray(c, c0 + LANES);
    c1L.intoArray(c, c0 + 1 * COLUMNS);
    c1R.intoArray(c, c0 + 1 * COLUMNS + LANES);
    c2L.intoArray(c, c0 + 2 * COLUMNS);
    c2R.intoArray(c, c0 + 2 * COLUMNS + LANES);
    c3L.intoArray(c, c0 + 3 * COLUMNS);
    c3R.intoArray(c, c0 + 3 * COLUMNS + LANES);
    c4L.intoArray(c, c0 + 4 * COLUMNS);
    c4R.intoArray(c, c0 + 4 * COLUMNS + LANES);
    c5L.intoArray(c, c0 + 5 * COLUMNS);
    c5R.intoArray(c, c0 + 5 * COLUMNS + LANES);
    c6L.intoArray(c, c0 + 6 * COLUMNS);
    c6R.intoArray(c, c0 + 6 * COLUMNS + LANES);
    c7L.intoArray(c, c0 + 7 * COLUMNS);
    c7R.intoArray(c, c0 + 7 * COLUMNS + LANES);
    c8L.intoArray(c, c0 + 8 * COLUMNS);
    c8R.intoArray(c, c0 + 8 * COLUMNS + LANES);
    c9L.intoArray(c, c0 + 9 * COLUMNS);
    c9R.intoArray(c, c0 + 9 * COLUMNS + LANES);
    c10L.intoArray(c, c0 + 10 * COLUMNS);
    c10R.intoArray(c, c0 + 10 * COLUMNS + LANES);
    c11L.intoArray(c, c0 + 11 * COLUMNS);
    c11R.intoArray(c, c0 + 11 * COLUMNS + LANES);
  }

  private static void multiply6(
      float[] a, int a0, float[] b, int b0, float[] c, int c0, int depth) {
    FloatVector c0L = FloatVector.fromArray(FLOAT, c, c0);
    FloatVector c0R = FloatVector.fromArray(FLOAT, c, c0 + LANES);
    FloatVector c1L = FloatVector.fromArray(FLOAT, c, c0 + 1 * COLUMNS);
    FloatVector c1R = FloatVector.fromArray(FLOAT, c, c0 + 1 * COLUMNS + LANES);
    FloatVector c2L = FloatVector.fromArray(FLOAT, c, c0 + 2 * COLUMNS);
    FloatVector c2R = FloatVector.fromArray(FLOAT, c, c0 + 2 * COLUMNS + LANES);
    FloatVector c3L = FloatVector.fromArray(FLOAT, c, c0 + 3 * COLUMNS);
    FloatVector c3R = FloatVector.fromArray(FLOAT, c, c0 + 3 * COLUMNS + LANES);
    FloatVector c4L = FloatVector.fromArray(FLOAT, c, c0 + 4 * COLUMNS);
    FloatVector c4R = FloatVector.fromArray(FLOAT, c, c0 + 4 * COLUMNS + LANES);
    FloatVector c5L = FloatVector.fromArray(FLOAT, c, c0 + 5 * COLUMNS);
    FloatVector c5R = FloatVector.fromArray(FLOAT, c, c0 + 5 * COLUMNS + LANES);
    for (int k = 0; k < depth; k++) {
      FloatVector bL = FloatVector.fromArray(FLOAT, b, b0 + k * COLUMNS);
      FloatVector bR = FloatVector.fromArray(FLOAT, b, b0 + k * COLUMNS + LANES);
      FloatVector ak = FloatVector.broadcast(FLOAT, a[a0 + k]);
      c0L = ak.fma(bL, c0L);
      c0R = ak.fma(bR, c0R);
      ak = FloatVector.broadcast(FLOAT, a[a0 + 1 * DEPTH + k]);
      c1L = ak.fma(bL, c1L);
      c1R = ak.fma(bR, c1R);
      ak = FloatVector.broadcast(FLOAT, a[a0 + 2 * DEPTH + k]);
      c2L = ak.fma(bL, c2L);
      c2R = ak.fma(bR, c2R);
      ak = FloatVector.broadcast(FLOAT, a[a0 + 3 * DEPTH + k]);
      c3L = ak.fma(bL, c3L);
      c3R = ak.fma(bR, c3R);
      ak = FloatVector.broadcast(FLOAT, a[a0 + 4 * DEPTH + k]);
      c4L = ak.fma(bL, c4L);
      c4R = ak.fma(bR, c4R);
      ak = FloatVector.broadcast(FLOAT, a[a0 + 5 * DEPTH + k]);
      c5L = ak.fma(bL, c5L);
      c5R = ak.fma(bR, c5R);
    }
    c0L.intoArray(c, c0);
    c0R.intoArray(c, c0 + LANES);
    c1L.intoArray(c, c0 + 1 * COLUMNS);
    c1R.intoArray(c, c0 + 1 * COLUMNS + LANES);
    c2L.intoArray(c, c0 + 2 * COLUMNS);
    c2R.intoArray(c, c0 + 2 * COLUMNS + LANES);
    c3L.intoArray(c, c0 + 3 * COLUMNS);
    c3R.intoArray(c, c0 + 3 * COLUMNS + LANES);
    c4L.intoArray(c, c0 + 4 * COLUMNS);
    c4R.intoArray(c, c0 + 4 * COLUMNS + LANES);
    c5L.intoArray(c, c0 + 5 * COLUMNS);
    c5R.intoArray(c, c0 + 5 * COLUMNS + LANES);
  }
}
