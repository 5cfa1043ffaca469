package org.parallelcomp.backend.cpu.vector.simd;

import static jdk.incubator.vector.VectorOperators.LT;
import static org.parallelcomp.backend.cpu.vector.simd.Species.FLOAT;
import static org.parallelcomp.backend.cpu.vector.simd.Species.LANES;

import jdk.incubator.vector.FloatVector;

/**
 * The inner loops of the tiled attention. A tile is {@link #COLUMNS} queries wide, and the queries
 * lie across the lanes: so the softmax over the keys runs down the columns and no loop ever sums or
 * compares across lanes, and keys and values are broadcast from packed rows.
 *
 * <pre>
 *   keys    [depth = headDim][ROWS]     ROWS keys, packed by number of the dimension
 *   queries [headDim][COLUMNS]          times scale and log2(e)
 *   scores  [keys][COLUMNS]             to the base 2
 *   values  [depth = keys][ROWS]        ROWS dimensions of each value
 *   out     [headDim][COLUMNS]
 *   max, sum, limit [COLUMNS]           of each query
 * </pre>
 *
 * <p>8 rows of 2 vectors take 16 accumulators, 2 vectors of b and a broadcast; 10 loads feed 16
 * multiply-adds, and two of each start in a cycle: 98 % of the peak. (8 rows of 3 vectors need 28
 * of the 32 registers, and C2 spills: 73 %.) Narrower vectors come with 16 registers and take the 8
 * rows in two halves. The accumulators are local variables of one method: handed to a helper that
 * is not inlined they would be boxed.
 */
final class AttentionTile {
  /** Queries of a tile. */
  static final int COLUMNS = 2 * LANES;

  /** Keys, or dimensions of the values, of a tile. */
  static final int ROWS = 8;

  private static final boolean WIDE = LANES == 16;

  private AttentionTile() {}

  /**
   * Computes the scores of ROWS keys, and raises each query's maximum to the greatest of them.
   * Scores that are not numbers do not count for the maximum.
   */
  static void scores(
      float[] scores,
      int scores0,
      float[] max,
      float[] keys,
      int keys0,
      float[] queries,
      int queries0,
      int headDim) {
    if (WIDE) {
      scores8(scores, scores0, max, keys, keys0, queries, queries0, headDim);
    } else {
      scores4(scores, scores0, max, keys, keys0, queries, queries0, headDim);
      scores4(scores, scores0 + 4 * COLUMNS, max, keys, keys0 + 4, queries, queries0, headDim);
    }
  }

  /**
   * Adds the weighted values of a run of keys to ROWS dimensions: {@code out = factor * out + sum
   * over k of values_k weights_k}.
   *
   * @param factor [COLUMNS], at 0
   */
  static void addValues(
      float[] out,
      int out0,
      float[] factor,
      float[] values,
      int values0,
      float[] weights,
      int weights0,
      int keys) {
    if (WIDE) {
      addValues8(out, out0, factor, values, values0, weights, weights0, keys);
    } else {
      addValues4(out, out0, factor, values, values0, weights, weights0, keys);
      addValues4(out, out0 + 4 * COLUMNS, factor, values, values0 + 4, weights, weights0, keys);
    }
  }

  /**
   * Hides the keys past each query's limit, and raises each query's maximum to the greatest of the
   * scores that are left.
   *
   * @param scores [keys][COLUMNS], changed
   * @param max [COLUMNS], changed
   * @param limit [COLUMNS] number of keys that a query sees, counted from the first of these
   */
  static void mask(float[] scores, int scores0, float[] max, float[] limit, int keys) {
    for (int column = 0; column < COLUMNS; column += LANES) {
      FloatVector limits = FloatVector.fromArray(FLOAT, limit, column);
      FloatVector greatest = FloatVector.fromArray(FLOAT, max, column);
      for (int k = 0; k < keys; k++) {
        int at = scores0 + k * COLUMNS + column;
        FloatVector score = FloatVector.fromArray(FLOAT, scores, at);
        score = score.blend(Float.NEGATIVE_INFINITY, limits.compare(LT, k + 1f));
        score.intoArray(scores, at);
        greatest = greatest.blend(score, greatest.compare(LT, score));
      }
      greatest.intoArray(max, column);
    }
  }

  /**
   * Turns scores into weights relative to a new maximum: {@code weight = 2^(score - newMax)},
   * {@code factor = 2^(max - newMax)}, {@code sum = factor * sum + sum of the weights}, {@code max
   * = newMax}.
   *
   * @param factor [COLUMNS], written
   */
  static void weights(
      float[] scores,
      int scores0,
      float[] factor,
      float[] max,
      float[] sum,
      int state0,
      float[] newMax,
      int keys) {
    for (int column = 0; column < COLUMNS; column += LANES) {
      FloatVector greatest = FloatVector.fromArray(FLOAT, newMax, column);
      FloatVector old = FloatVector.fromArray(FLOAT, max, state0 + column);
      FloatVector rescale = Exponential.powerOfTwo(old.sub(greatest));
      FloatVector total = FloatVector.fromArray(FLOAT, sum, state0 + column).mul(rescale);
      for (int k = 0; k < keys; k++) {
        int at = scores0 + k * COLUMNS + column;
        FloatVector score = FloatVector.fromArray(FLOAT, scores, at).sub(greatest);
        FloatVector weight = Exponential.powerOfTwo(score);
        weight.intoArray(scores, at);
        total = total.add(weight);
      }
      rescale.intoArray(factor, column);
      greatest.intoArray(max, state0 + column);
      total.intoArray(sum, state0 + column);
    }
  }

  private static void scores8(
      float[] c, int c0, float[] max, float[] a, int a0, float[] b, int b0, int depth) {
    // c [8][COLUMNS], a [depth][ROWS], b [depth][COLUMNS]
    // pass 1: products, sums in registers
    FloatVector c0L = FloatVector.zero(FLOAT);
    FloatVector c0R = FloatVector.zero(FLOAT);
    FloatVector c1L = FloatVector.zero(FLOAT);
    FloatVector c1R = FloatVector.zero(FLOAT);
    FloatVector c2L = FloatVector.zero(FLOAT);
    FloatVector c2R = FloatVector.zero(FLOAT);
    FloatVector c3L = FloatVector.zero(FLOAT);
    FloatVector c3R = FloatVector.zero(FLOAT);
    FloatVector c4L = FloatVector.zero(FLOAT);
    FloatVector c4R = FloatVector.zero(FLOAT);
    FloatVector c5L = FloatVector.zero(FLOAT);
    FloatVector c5R = FloatVector.zero(FLOAT);
    FloatVector c6L = FloatVector.zero(FLOAT);
    FloatVector c6R = FloatVector.zero(FLOAT);
    FloatVector c7L = FloatVector.zero(FLOAT);
    FloatVector c7R = FloatVector.zero(FLOAT);
    for (int k = 0; k < depth; k++) {
      FloatVector bL = FloatVector.fromArray(FLOAT, b, b0 + k * COLUMNS);
      FloatVector bR = FloatVector.fromArray(FLOAT, b, b0 + k * COLUMNS + LANES);
      FloatVector ak = FloatVector.broadcast(FLOAT, a[a0 + k * ROWS]);
      c0L = ak.fma(bL, c0L);
      c0R = ak.fma(bR, c0R);
      ak = FloatVector.broadcast(FLOAT, a[a0 + k * ROWS + 1]);
      c1L = ak.fma(bL, c1L);
      c1R = ak.fma(bR, c1R);
      ak = FloatVector.broadcast(FLOAT, a[a0 + k * ROWS + 2]);
      c2L = ak.fma(bL, c2L);
      c2R = ak.fma(bR, c2R);
      ak = FloatVector.broadcast(FLOAT, a[a0 + k * ROWS + 3]);
      c3L = ak.fma(bL, c3L);
      c3R = ak.fma(bR, c3R);
      ak = FloatVector.broadcast(FLOAT, a[a0 + k * ROWS + 4]);
      c4L = ak.fma(bL, c4L);
      c4R = ak.fma(bR, c4R);
      ak = FloatVector.broadcast(FLOAT, a[a0 + k * ROWS + 5]);
      c5L = ak.fma(bL, c5L);
      c5R = ak.fma(bR, c5R);
      ak = FloatVector.broadcast(FLOAT, a[a0 + k * ROWS + 6]);
      c6L = ak.fma(bL, c6L);
      c6R = ak.fma(bR, c6R);
      ak = FloatVector.broadcast(FLOAT, a[a0 + k * ROWS + 7]);
      c7L = ak.fma(bL, c7L);
      c7R = ak.fma(bR, c7R);
    }
    // pass 2: the maximum of each column with what it was before
    FloatVector maxL = FloatVector.fromArray(FLOAT, max, 0);
    maxL = maxL.blend(c0L, maxL.compare(LT, c0L));
    maxL = maxL.blend(c1L, maxL.compare(LT, c1L));
    maxL = maxL.blend(c2L, maxL.compare(LT, c2L));
    maxL = maxL.blend(c3L, maxL.compare(LT, c3L));
    maxL = maxL.blend(c4L, maxL.compare(LT, c4L));
    maxL = maxL.blend(c5L, maxL.compare(LT, c5L));
    maxL = maxL.blend(c6L, maxL.compare(LT, c6L));
    maxL = maxL.blend(c7L, maxL.compare(LT, c7L));
    maxL.intoArray(max, 0);
    FloatVector maxR = FloatVector.fromArray(FLOAT, max, LANES);
    maxR = maxR.blend(c0R, maxR.compare(LT, c0R));
    maxR = maxR.blend(c1R, maxR.compare(LT, c1R));
    maxR = maxR.blend(c2R, maxR.compare(LT, c2R));
    maxR = maxR.blend(c3R, maxR.compare(LT, c3R));
    maxR = maxR.blend(c4R, maxR.compare(LT, c4R));
    maxR = maxR.blend(c5R, maxR.compare(LT, c5R));
    maxR = maxR.blend(c6R, maxR.compare(LT, c6R));
    maxR = maxR.blend(c7R, maxR.compare(LT, c7R));
    maxR.intoArray(max, LANES);
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
  }

  private static void scores4(
      float[] c, int c0, float[] max, float[] a, int a0, float[] b, int b0, int depth) {
    // c [4][COLUMNS], a [depth][ROWS], b [depth][COLUMNS]
    // pass 1: products, sums in registers
    FloatVector c0L = FloatVector.zero(FLOAT);
    FloatVector c0R = FloatVector.zero(FLOAT);
    FloatVector c1L = FloatVector.zero(FLOAT);
    FloatVector c1R = FloatVector.zero(FLOAT);
    FloatVector c2L = FloatVector.zero(FLOAT);
    FloatVector c2R = FloatVector.zero(FLOAT);
    FloatVector c3L = FloatVector.zero(FLOAT);
    FloatVector c3R = FloatVector.zero(FLOAT);
    for (int k = 0; k < depth; k++) {
      FloatVector bL = FloatVector.fromArray(FLOAT, b, b0 + k * COLUMNS);
      FloatVector bR = FloatVector.fromArray(FLOAT, b, b0 + k * COLUMNS + LANES);
      FloatVector ak = FloatVector.broadcast(FLOAT, a[a0 + k * ROWS]);
      c0L = ak.fma(bL, c0L);
      c0R = ak.fma(bR, c0R);
      ak = FloatVector.broadcast(FLOAT, a[a0 + k * ROWS + 1]);
      c1L = ak.fma(bL, c1L);
      c1R = ak.fma(bR, c1R);
      ak = FloatVector.broadcast(FLOAT, a[a0 + k * ROWS + 2]);
      c2L = ak.fma(bL, c2L);
      c2R = ak.fma(bR, c2R);
      ak = FloatVector.broadcast(FLOAT, a[a0 + k * ROWS + 3]);
      c3L = ak.fma(bL, c3L);
      c3R = ak.fma(bR, c3R);
    }
    // pass 2: the maximum of each column with what it was before
    FloatVector maxL = FloatVector.fromArray(FLOAT, max, 0);
    maxL = maxL.blend(c0L, maxL.compare(LT, c0L));
    maxL = maxL.blend(c1L, maxL.compare(LT, c1L));
    maxL = maxL.blend(c2L, maxL.compare(LT, c2L));
    maxL = maxL.blend(c3L, maxL.compare(LT, c3L));
    maxL.intoArray(max, 0);
    FloatVector maxR = FloatVector.fromArray(FLOAT, max, LANES);
    maxR = maxR.blend(c0R, maxR.compare(LT, c0R));
    maxR = maxR.blend(c1R, maxR.compare(LT, c1R));
    maxR = maxR.blend(c2R, maxR.compare(LT, c2R));
    maxR = maxR.blend(c3R, maxR.compare(LT, c3R));
    maxR.intoArray(max, LANES);
    c0L.intoArray(c, c0);
    c0R.intoArray(c, c0 + LANES);
    c1L.intoArray(c, c0 + 1 * COLUMNS);
    c1R.intoArray(c, c0 + 1 * COLUMNS + LANES);
    c2L.intoArray(c, c0 + 2 * COLUMNS);
    c2R.intoArray(c, c0 + 2 * COLUMNS + LANES);
    c3L.intoArray(c, c0 + 3 * COLUMNS);
    c3R.intoArray(c, c0 + 3 * COLUMNS + LANES);
  }

  private static void addValues8(
      float[] c, int c0, float[] factor, float[] a, int a0, float[] b, int b0, int depth) {
    // c [8][COLUMNS], factor [COLUMNS], a [depth][ROWS], b [depth][COLUMNS]
    FloatVector factorL = FloatVector.fromArray(FLOAT, factor, 0);
    FloatVector factorR = FloatVector.fromArray(FLOAT, factor, LANES);
    FloatVector c0L = FloatVector.fromArray(FLOAT, c, c0).mul(factorL);
    FloatVector c0R = FloatVector.fromArray(FLOAT, c, c0 + LANES).mul(factorR);
    FloatVector c1L = FloatVector.fromArray(FLOAT, c, c0 + 1 * COLUMNS).mul(factorL);
    FloatVector c1R = FloatVector.fromArray(FLOAT, c, c0 + 1 * COLUMNS + LANES).mul(factorR);
    FloatVector c2L = FloatVector.fromArray(FLOAT, c, c0 + 2 * COLUMNS).mul(factorL);
    FloatVector c2R = FloatVector.fromArray(FLOAT, c, c0 + 2 * COLUMNS + LANES).mul(factorR);
    FloatVector c3L = FloatVector.fromArray(FLOAT, c, c0 + 3 * COLUMNS).mul(factorL);
    FloatVector c3R = FloatVector.fromArray(FLOAT, c, c0 + 3 * COLUMNS + LANES).mul(factorR);
    FloatVector c4L = FloatVector.fromArray(FLOAT, c, c0 + 4 * COLUMNS).mul(factorL);
    FloatVector c4R = FloatVector.fromArray(FLOAT, c, c0 + 4 * COLUMNS + LANES).mul(factorR);
    FloatVector c5L = FloatVector.fromArray(FLOAT, c, c0 + 5 * COLUMNS).mul(factorL);
    FloatVector c5R = FloatVector.fromArray(FLOAT, c, c0 + 5 * COLUMNS + LANES).mul(factorR);
    FloatVector c6L = FloatVector.fromArray(FLOAT, c, c0 + 6 * COLUMNS).mul(factorL);
    FloatVector c6R = FloatVector.fromArray(FLOAT, c, c0 + 6 * COLUMNS + LANES).mul(factorR);
    FloatVector c7L = FloatVector.fromArray(FLOAT, c, c0 + 7 * COLUMNS).mul(factorL);
    FloatVector c7R = FloatVector.fromArray(FLOAT, c, c0 + 7 * COLUMNS + LANES).mul(factorR);
    for (int k = 0; k < depth; k++) {
      FloatVector bL = FloatVector.fromArray(FLOAT, b, b0 + k * COLUMNS);
      FloatVector bR = FloatVector.fromArray(FLOAT, b, b0 + k * COLUMNS + LANES);
      FloatVector ak = FloatVector.broadcast(FLOAT, a[a0 + k * ROWS]);
      c0L = ak.fma(bL, c0L);
      c0R = ak.fma(bR, c0R);
      ak = FloatVector.broadcast(FLOAT, a[a0 + k * ROWS + 1]);
      c1L = ak.fma(bL, c1L);
      c1R = ak.fma(bR, c1R);
      ak = FloatVector.broadcast(FLOAT, a[a0 + k * ROWS + 2]);
      c2L = ak.fma(bL, c2L);
      c2R = ak.fma(bR, c2R);
      ak = FloatVector.broadcast(FLOAT, a[a0 + k * ROWS + 3]);
      c3L = ak.fma(bL, c3L);
      c3R = ak.fma(bR, c3R);
      ak = FloatVector.broadcast(FLOAT, a[a0 + k * ROWS + 4]);
      c4L = ak.fma(bL, c4L);
      c4R = ak.fma(bR, c4R);
      ak = FloatVector.broadcast(FLOAT, a[a0 + k * ROWS + 5]);
      c5L = ak.fma(bL, c5L);
      c5R = ak.fma(bR, c5R);
      ak = FloatVector.broadcast(FLOAT, a[a0 + k * ROWS + 6]);
      c6L = ak.fma(bL, c6L);
      c6R = ak.fma(bR, c6R);
      ak = FloatVector.broadcast(FLOAT, a[a0 + k * ROWS + 7]);
      c7L = ak.fma(bL, c7L);
      c7R = ak.fma(bR, c7R);
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
  }

  private static void addValues4(
      float[] c, int c0, float[] factor, float[] a, int a0, float[] b, int b0, int depth) {
    // c [4][COLUMNS], factor [COLUMNS], a [depth][ROWS], b [depth][COLUMNS]
    FloatVector factorL = FloatVector.fromArray(FLOAT, factor, 0);
    FloatVector factorR = FloatVector.fromArray(FLOAT, factor, LANES);
    FloatVector c0L = FloatVector.fromArray(FLOAT, c, c0).mul(factorL);
    FloatVector c0R = FloatVector.fromArray(FLOAT, c, c0 + LANES).mul(factorR);
    FloatVector c1L = FloatVector.fromArray(FLOAT, c, c0 + 1 * COLUMNS).mul(factorL);
    FloatVector c1R = FloatVector.fromArray(FLOAT, c, c0 + 1 * COLUMNS + LANES).mul(factorR);
    FloatVector c2L = FloatVector.fromArray(FLOAT, c, c0 + 2 * COLUMNS).mul(factorL);
    FloatVector c2R = FloatVector.fromArray(FLOAT, c, c0 + 2 * COLUMNS + LANES).mul(factorR);
    FloatVector c3L = FloatVector.fromArray(FLOAT, c, c0 + 3 * COLUMNS).mul(factorL);
    FloatVector c3R = FloatVector.fromArray(FLOAT, c, c0 + 3 * COLUMNS + LANES).mul(factorR);
    for (int k = 0; k < depth; k++) {
      FloatVector bL = FloatVector.fromArray(FLOAT, b, b0 + k * COLUMNS);
      FloatVector bR = FloatVector.fromArray(FLOAT, b, b0 + k * COLUMNS + LANES);
      FloatVector ak = FloatVector.broadcast(FLOAT, a[a0 + k * ROWS]);
      c0L = ak.fma(bL, c0L);
      c0R = ak.fma(bR, c0R);
      ak = FloatVector.broadcast(FLOAT, a[a0 + k * ROWS + 1]);
      c1L = ak.fma(bL, c1L);
      c1R = ak.fma(bR, c1R);
      ak = FloatVector.broadcast(FLOAT, a[a0 + k * ROWS + 2]);
      c2L = ak.fma(bL, c2L);
      c2R = ak.fma(bR, c2R);
      ak = FloatVector.broadcast(FLOAT, a[a0 + k * ROWS + 3]);
      c3L = ak.fma(bL, c3L);
      c3R = ak.fma(bR, c3R);
    }
    c0L.intoArray(c, c0);
    c0R.intoArray(c, c0 + LANES);
    c1L.intoArray(c, c0 + 1 * COLUMNS);
    c1R.intoArray(c, c0 + 1 * COLUMNS + LANES);
    c2L.intoArray(c, c0 + 2 * COLUMNS);
    c2R.intoArray(c, c0 + 2 * COLUMNS + LANES);
    c3L.intoArray(c, c0 + 3 * COLUMNS);
    c3R.intoArray(c, c0 + 3 * COLUMNS + LANES);
  }
}
