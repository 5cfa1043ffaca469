package org.parallelcomp.backend.cpu.vector.simd;

import static java.nio.ByteOrder.LITTLE_ENDIAN;
import static jdk.incubator.vector.VectorOperators.B2F;
import static jdk.incubator.vector.VectorOperators.LSHL;
import static jdk.incubator.vector.VectorOperators.LSHR;
import static jdk.incubator.vector.VectorOperators.S2I;
import static jdk.incubator.vector.VectorOperators.ZERO_EXTEND_B2I;
import static jdk.incubator.vector.VectorOperators.ZERO_EXTEND_S2I;
import static org.parallelcomp.backend.cpu.vector.simd.Dequantize.LE_FLOAT;
import static org.parallelcomp.backend.cpu.vector.simd.Dequantize.LE_INT;
import static org.parallelcomp.backend.cpu.vector.simd.Dequantize.LE_SHORT;
import static org.parallelcomp.backend.cpu.vector.simd.Species.BYTE;
import static org.parallelcomp.backend.cpu.vector.simd.Species.FLOAT;
import static org.parallelcomp.backend.cpu.vector.simd.Species.INT;
import static org.parallelcomp.backend.cpu.vector.simd.Species.LANES;
import static org.parallelcomp.backend.cpu.vector.simd.Species.SHORT;

import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.ByteVector;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.ShortVector;
import org.jspecify.annotations.Nullable;
import org.parallelcomp.api.tensor.DType;

/**
 * Matrix product for few rows (decode): {@code y[M,N] = x[M,K] W[N,K]^T}, W read once, straight
 * from its stored form.
 *
 * <p>Activations stay floats. With one row of x the common formats are unpacked in registers. Two
 * rows of W that lie half a task apart go together: they share the loads of x, and probably one
 * waits for memory while the other's is at hand (measured: 6.1 GB/s per core, 5.2 one after the
 * other; neighbouring rows were slower than that). Otherwise four rows of W are unpacked into a
 * scratch that stays in the first-level cache, and used for all rows of x.
 *
 * <p>The kernels are small on purpose. C2 stops inlining after 18,000 nodes of its graph, without a
 * word; with four rows in one method that limit was passed, and the vectors were boxed.
 */
public final class VectorMatmul {

  /** Above this many rows of x {@link PanelMatmul} is faster. */
  public static final int MOST_ROWS = 24;

  /** Tasks per worker: so that a worker that is held up costs little, yet a task lasts 3 us. */
  private static final int TASKS_PER_WORKER = 8;

  /**
   * Rows of W in a task at most: a large matrix is claimed in pieces whose sums stay in the
   * first-level cache.
   */
  private static final int MOST_TASK_ROWS = 256;

  /**
   * A binary16 shifted into a float's place is too small by 2^112. Half of that factor is put on x
   * and half on the sum, so that neither overflows or loses bits.
   */
  private static final float HALF_SCALE = 0x1p56f;

  private static final FloatVector NIBBLES = FloatVector.zero(FLOAT).addIndex(1);
  private static final FloatVector SIGNED_NIBBLES = NIBBLES.sub(8f);

  /**
   * Every binary16 as a float. A number from here is spread over the lanes by the load; one that
   * was converted passes the only port that moves lanes four times, where table and unpacking of a
   * block pass it three times in all.
   */
  private static final float[] HALVES = new float[1 << 16];

  static {
    for (int bits = 0; bits < HALVES.length; bits++) {
      HALVES[bits] = Float.float16ToFloat((short) bits);
    }
  }

  private VectorMatmul() {}

  /** Memory of the products of one caller; reuse it. Not for two products at a time. */
  public static final class Scratch {
    private float[] x = new float[0];
    private final Local[] locals;

    /** For products that use {@code workers} workers. */
    public Scratch(int workers) {
      locals = new Local[workers];
      for (int i = 0; i < workers; i++) {
        locals[i] = new Local();
      }
    }
  }

  private static final class Local {
    /** Four unpacked rows of W. */
    private float[] w = new float[0];

    /** Sums of one task, [rows of x][MOST_TASK_ROWS]. */
    private float[] y = new float[MOST_TASK_ROWS];

    /** Second sums of one task of a gated product. */
    private float[] gate = new float[0];
  }

  /** One of several products of the same x: {@code y[M,N] = x W^T + bias}, or added to y. */
  public record Product(
      WeightMatrix w,
      float @Nullable [] bias,
      MemorySegment y,
      long yOffset,
      long yStride,
      PanelMatmul.Mode mode) {}

  /** As {@link PanelMatmul#multiply}, for at most a few rows. */
  public static void multiply(
      MemorySegment x,
      long xOffset,
      long xStride,
      int m,
      WeightMatrix w,
      float @Nullable [] bias,
      MemorySegment y,
      long yOffset,
      long yStride,
      PanelMatmul.Mode mode,
      Workers workers,
      Scratch scratch) {
    multiplyAll(
        x, xOffset, xStride, m, workers, scratch, new Product(w, bias, y, yOffset, yStride, mode));
  }

  /**
   * Computes several products of the same x in one hand-off to the workers: queries, keys and
   * values.
   *
   * @param x [M, K] floats
   * @param xOffset byte offset of the first row
   * @param xStride bytes from row to row
   * @param m M, the number of rows
   */
  public static void multiplyAll(
      MemorySegment x,
      long xOffset,
      long xStride,
      int m,
      Workers workers,
      Scratch scratch,
      Product... products) {
    if (m == 0) {
      return;
    }
    int k = products[0].w.columns();
    int stride = paddedColumns(k);
    loadX(x, xOffset, xStride, m, k, stride, scratch);
    int totalRows = 0;
    for (Product p : products) {
      totalRows += p.w.rows();
    }
    int taskRows = taskRows(totalRows, workers.count());
    int tasks = 0;
    for (Product p : products) {
      tasks += Math.ceilDiv(p.w.rows(), taskRows);
    }
    workers.run(
        tasks,
        (task, worker) -> {
          int left = task;
          for (Product p : products) {
            int mine = Math.ceilDiv(p.w.rows(), taskRows);
            if (left < mine) {
              int from = left * taskRows;
              int to = Math.min(from + taskRows, p.w.rows());
              Local local = scratch.locals[worker];
              if (local.y.length < m * MOST_TASK_ROWS) {
                local.y = new float[m * MOST_TASK_ROWS];
              }
              rows(p.w, from, to, scratch.x, m, stride, local, local.y);
              write(p, from, to, m, local.y);
              return;
            }
            left -= mine;
          }
        });
  }

  /**
   * Computes {@code y = silu(x gate^T) * (x up^T)}, the first half of a SwiGLU layer, in one
   * hand-off. Arguments as in {@link #multiply}; gate and up have the same shape.
   */
  public static void multiplyGated(
      MemorySegment x,
      long xOffset,
      long xStride,
      int m,
      WeightMatrix gate,
      WeightMatrix up,
      MemorySegment y,
      long yOffset,
      long yStride,
      Workers workers,
      Scratch scratch) {
    if (m == 0) {
      return;
    }
    int k = gate.columns();
    int stride = paddedColumns(k);
    loadX(x, xOffset, xStride, m, k, stride, scratch);
    int taskRows = taskRows(gate.rows(), workers.count());
    Product product = new Product(up, null, y, yOffset, yStride, PanelMatmul.Mode.OVERWRITE);
    workers.run(
        Math.ceilDiv(gate.rows(), taskRows),
        (task, worker) -> {
          int from = task * taskRows;
          int to = Math.min(from + taskRows, gate.rows());
          Local local = scratch.locals[worker];
          int sums = m * MOST_TASK_ROWS;
          if (local.y.length < sums) {
            local.y = new float[sums];
          }
          if (local.gate.length < sums) {
            local.gate = new float[sums];
          }
          rows(gate, from, to, scratch.x, m, stride, local, local.gate);
          rows(up, from, to, scratch.x, m, stride, local, local.y);
          for (int j = 0; j < m; j++) {
            multiplyBySilu(local.y, local.gate, j * MOST_TASK_ROWS, to - from);
          }
          write(product, from, to, m, local.y);
        });
  }

  /**
   * {@code y *= g / (1 + exp(-g))}. May touch up to LANES - 1 elements more: both arrays have room.
   *
   * <p>exp is computed here (2^n times a polynomial of the rest, relative error below 2e-7):
   * Math.exp would take longer than the products of a narrow layer.
   */
  private static void multiplyBySilu(float[] y, float[] gate, int at, int count) {
    for (int i = at; i < at + count; i += LANES) {
      FloatVector g = FloatVector.fromArray(FLOAT, gate, i);
      FloatVector x = g.neg().max(-87f).min(88f);
      // Adding 1.5 * 2^23 rounds to a whole number, and leaves it in the low bits.
      FloatVector rounded = x.mul(1.44269504f).add(0x1.8p23f);
      FloatVector n = rounded.sub(0x1.8p23f);
      // ln 2 in two parts, the first short enough for n * part to be exact.
      FloatVector r = n.mul(-0.693359375f).add(x);
      r = n.mul(2.12194440e-4f).add(r);
      FloatVector p = r.mul(1.9875691500e-4f).add(1.3981999507e-3f);
      p = p.mul(r).add(8.3334519073e-3f);
      p = p.mul(r).add(4.1665795894e-2f);
      p = p.mul(r).add(1.6666665459e-1f);
      p = p.mul(r).add(5.0000001201e-1f);
      p = p.mul(r).mul(r).add(r).add(1f);
      IntVector exponent = rounded.reinterpretAsInts().lanewise(LSHL, 23);
      FloatVector exp = p.reinterpretAsInts().add(exponent).reinterpretAsFloats();
      FloatVector.fromArray(FLOAT, y, i).mul(g.div(exp.add(1f))).intoArray(y, i);
    }
  }

  /** K rounded up to two vectors, the step of the inner loops; the rest of a row of x is zero. */
  private static int paddedColumns(int k) {
    return Math.ceilDiv(k, 2 * LANES) * 2 * LANES;
  }

  private static void loadX(
      MemorySegment x, long xOffset, long xStride, int m, int k, int stride, Scratch scratch) {
    if (scratch.x.length < m * stride) {
      scratch.x = new float[m * stride];
    }
    for (int j = 0; j < m; j++) {
      MemorySegment.copy(x, LE_FLOAT, xOffset + j * xStride, scratch.x, j * stride, k);
      java.util.Arrays.fill(scratch.x, j * stride + k, (j + 1) * stride, 0f);
    }
  }

  private static int taskRows(int rows, int workers) {
    int even = Math.ceilDiv(rows, workers * TASKS_PER_WORKER);
    return Math.clamp(Math.ceilDiv(even, 4) * 4, 4, MOST_TASK_ROWS);
  }

  /**
   * Sums of rows {@code from … to} of W on the calling thread: {@code y[j * MOST_TASK_ROWS + i] =
   * W[from + i] x[j]}. At most MOST_TASK_ROWS rows.
   */
  private static void rows(
      WeightMatrix w, int from, int to, float[] x, int m, int stride, Local local, float[] y) {
    if (m == 1 && w.columns() == stride && isLookedUp(w.format())) {
      // Rows of the two halves go together: see the head of this class. The middle one of an odd
      // number is done twice.
      int half = (to - from + 1) / 2;
      int last = to - from - 1;
      for (int i = 0; i < half; i++) {
        twoRows(w, from, i, Math.min(half + i, last), x, y);
      }
    } else if (m == 1 && w.columns() == stride && isWidened(w.format())) {
      for (int row = from; row < to; row++) {
        oneRow(w, w.rowOffset(row), x, y, row - from);
      }
    } else {
      // Past the end of an uneven range the last row is done again; y has room for it, because
      // MOST_TASK_ROWS is a multiple of four.
      for (int row = from; row < to; row += 4) {
        fourRows(w, row, to - 1, x, m, stride, local, y, row - from);
      }
    }
  }

  /** Whether a block's numbers become floats by a table or a conversion, in 16 lanes. */
  private static boolean isLookedUp(DType format) {
    return switch (format) {
      case Q4_1, Q4_0, Q8_0 -> LANES == 16;
      default -> false;
    };
  }

  private static boolean isWidened(DType format) {
    return format == DType.F32 || format == DType.F16 || format == DType.BF16;
  }

  /** Rows {@code from + a} and {@code from + b} of W, to {@code y[a]} and {@code y[b]}. */
  private static void twoRows(WeightMatrix w, int from, int a, int b, float[] x, float[] y) {
    MemorySegment s = w.segment();
    long rowA = w.rowOffset(from + a);
    long rowB = w.rowOffset(from + b);
    int blocks = w.columns() / 32;
    switch (w.format()) {
      case Q4_1 -> q4x1(s, rowA, rowB, blocks, x, y, a, b);
      case Q4_0 -> q4x0(s, rowA, rowB, blocks, x, y, a, b);
      case Q8_0 -> q8x0(s, rowA, rowB, blocks, x, y, a, b);
      default -> throw new AssertionError(w.format());
    }
  }

  private static void oneRow(WeightMatrix w, long row, float[] x, float[] y, int at) {
    MemorySegment s = w.segment();
    int k = w.columns();
    switch (w.format()) {
      case F32 -> f32(s, row, k, x, y, at);
      case F16 -> f16(s, row, k, x, y, at);
      case BF16 -> bf16(s, row, k, x, y, at);
      default -> throw new AssertionError(w.format());
    }
  }

  private static void fourRows(
      WeightMatrix w,
      int row,
      int last,
      float[] x,
      int m,
      int stride,
      Local local,
      float[] y,
      int at) {
    if (local.w.length < 4 * stride) {
      local.w = new float[4 * stride];
    }
    for (int i = 0; i < 4; i++) {
      unpackRow(w, w.rowOffset(Math.min(row + i, last)), local.w, i * stride, stride);
    }
    int j = 0;
    for (; j <= m - 4; j += 4) {
      int to = j * MOST_TASK_ROWS + at;
      unpacked4(local.w, stride, x, j * stride, y, to, MOST_TASK_ROWS);
    }
    for (; j < m; j++) {
      unpacked1(local.w, stride, x, j * stride, y, j * MOST_TASK_ROWS + at, MOST_TASK_ROWS);
    }
  }

  private static void unpackRow(WeightMatrix w, long from, float[] to, int at, int stride) {
    Dequantize.blocks(w.format(), w.segment(), from, w.columns(), to, at);
    java.util.Arrays.fill(to, at + w.columns(), at + stride, 0f);
  }

  private static void write(Product p, int from, int to, int m, float[] y) {
    int count = to - from;
    for (int j = 0; j < m; j++) {
      int at = j * MOST_TASK_ROWS;
      long out = p.yOffset + j * p.yStride + 4L * from;
      if (p.bias != null) {
        for (int i = 0; i < count; i++) {
          y[at + i] += p.bias[from + i];
        }
      }
      if (p.mode == PanelMatmul.Mode.ACCUMULATE) {
        for (int i = 0; i < count; i++) {
          y[at + i] += p.y.get(LE_FLOAT, out + 4L * i);
        }
      }
      MemorySegment.copy(y, at, p.y, LE_FLOAT, out, count);
    }
  }

  /**
   * Two rows of Q4_1 by one x. The 16 values a nibble can mean, d q + m, are a vector of their own,
   * so a weight is one table look-up: no conversion, and scale and minimum cost nothing per weight.
   */
  private static void q4x1(
      MemorySegment w, long rowA, long rowB, int blocks, float[] x, float[] y, int a, int b) {
    FloatVector lowA = FloatVector.zero(FLOAT);
    FloatVector highA = FloatVector.zero(FLOAT);
    FloatVector lowB = FloatVector.zero(FLOAT);
    FloatVector highB = FloatVector.zero(FLOAT);
    for (int block = 0; block < blocks; block++) {
      long inA = rowA + 20L * block;
      long inB = rowB + 20L * block;
      FloatVector xLow = FloatVector.fromArray(FLOAT, x, 32 * block);
      FloatVector xHigh = FloatVector.fromArray(FLOAT, x, 32 * block + 16);
      IntVector qA = packedNibbles(w, inA + 4);
      IntVector qB = packedNibbles(w, inB + 4);
      IntVector valuesA = valuesQ4x1(w, inA);
      IntVector valuesB = valuesQ4x1(w, inB);
      lowA = qA.selectFrom(valuesA).reinterpretAsFloats().fma(xLow, lowA);
      highA = qA.lanewise(LSHR, 4).selectFrom(valuesA).reinterpretAsFloats().fma(xHigh, highA);
      lowB = qB.selectFrom(valuesB).reinterpretAsFloats().fma(xLow, lowB);
      highB = qB.lanewise(LSHR, 4).selectFrom(valuesB).reinterpretAsFloats().fma(xHigh, highB);
    }
    y[a] = LaneSum.of(lowA.add(highA));
    y[b] = LaneSum.of(lowB.add(highB));
  }

  /** Two rows of Q4_0 by one x; see {@link #q4x1}. */
  private static void q4x0(
      MemorySegment w, long rowA, long rowB, int blocks, float[] x, float[] y, int a, int b) {
    FloatVector lowA = FloatVector.zero(FLOAT);
    FloatVector highA = FloatVector.zero(FLOAT);
    FloatVector lowB = FloatVector.zero(FLOAT);
    FloatVector highB = FloatVector.zero(FLOAT);
    for (int block = 0; block < blocks; block++) {
      long inA = rowA + 18L * block;
      long inB = rowB + 18L * block;
      FloatVector xLow = FloatVector.fromArray(FLOAT, x, 32 * block);
      FloatVector xHigh = FloatVector.fromArray(FLOAT, x, 32 * block + 16);
      IntVector qA = packedNibbles(w, inA + 2);
      IntVector qB = packedNibbles(w, inB + 2);
      IntVector valuesA = valuesQ4x0(w, inA);
      IntVector valuesB = valuesQ4x0(w, inB);
      lowA = qA.selectFrom(valuesA).reinterpretAsFloats().fma(xLow, lowA);
      highA = qA.lanewise(LSHR, 4).selectFrom(valuesA).reinterpretAsFloats().fma(xHigh, highA);
      lowB = qB.selectFrom(valuesB).reinterpretAsFloats().fma(xLow, lowB);
      highB = qB.lanewise(LSHR, 4).selectFrom(valuesB).reinterpretAsFloats().fma(xHigh, highB);
    }
    y[a] = LaneSum.of(lowA.add(highA));
    y[b] = LaneSum.of(lowB.add(highB));
  }

  /** Two rows of Q8_0 by one x. The scale is applied to the sum of a block. */
  private static void q8x0(
      MemorySegment w, long rowA, long rowB, int blocks, float[] x, float[] y, int a, int b) {
    FloatVector sumA = FloatVector.zero(FLOAT);
    FloatVector sumB = FloatVector.zero(FLOAT);
    for (int block = 0; block < blocks; block++) {
      long inA = rowA + 34L * block;
      long inB = rowB + 34L * block;
      FloatVector x0 = FloatVector.fromArray(FLOAT, x, 32 * block);
      FloatVector x1 = FloatVector.fromArray(FLOAT, x, 32 * block + 16);
      FloatVector dotA = signedBytes(w, inA + 2).mul(x0);
      FloatVector dotB = signedBytes(w, inB + 2).mul(x0);
      dotA = signedBytes(w, inA + 18).fma(x1, dotA);
      dotB = signedBytes(w, inB + 18).fma(x1, dotB);
      sumA = dotA.fma(scale(w, inA), sumA);
      sumB = dotB.fma(scale(w, inB), sumB);
    }
    y[a] = LaneSum.of(sumA);
    y[b] = LaneSum.of(sumB);
  }

  /** One row of F32 by one x. */
  private static void f32(MemorySegment w, long row, int k, float[] x, float[] y, int at) {
    FloatVector even = FloatVector.zero(FLOAT);
    FloatVector odd = FloatVector.zero(FLOAT);
    for (int i = 0; i < k; i += 2 * LANES) {
      long in = 4L * i;
      FloatVector x0 = FloatVector.fromArray(FLOAT, x, i);
      FloatVector x1 = FloatVector.fromArray(FLOAT, x, i + LANES);
      even = floats(w, row + in).fma(x0, even);
      odd = floats(w, row + in + 4 * LANES).fma(x1, odd);
    }
    y[at] = LaneSum.of(even.add(odd));
  }

  /** One row of F16 by one x; the sum is too small by the square of {@link #HALF_SCALE}. */
  private static void f16(MemorySegment w, long row, int k, float[] x, float[] y, int at) {
    FloatVector even = FloatVector.zero(FLOAT);
    FloatVector odd = FloatVector.zero(FLOAT);
    for (int i = 0; i < k; i += 2 * LANES) {
      long in = 2L * i;
      FloatVector x0 = FloatVector.fromArray(FLOAT, x, i);
      FloatVector x1 = FloatVector.fromArray(FLOAT, x, i + LANES);
      even = scaledHalves(w, row + in).fma(x0, even);
      odd = scaledHalves(w, row + in + 2 * LANES).fma(x1, odd);
    }
    y[at] = LaneSum.of(even.add(odd)) * HALF_SCALE * HALF_SCALE;
  }

  /** One row of BF16 by one x. */
  private static void bf16(MemorySegment w, long row, int k, float[] x, float[] y, int at) {
    FloatVector even = FloatVector.zero(FLOAT);
    FloatVector odd = FloatVector.zero(FLOAT);
    for (int i = 0; i < k; i += 2 * LANES) {
      long in = 2L * i;
      FloatVector x0 = FloatVector.fromArray(FLOAT, x, i);
      FloatVector x1 = FloatVector.fromArray(FLOAT, x, i + LANES);
      even = brainHalves(w, row + in).fma(x0, even);
      odd = brainHalves(w, row + in + 2 * LANES).fma(x1, odd);
    }
    y[at] = LaneSum.of(even.add(odd));
  }

  /** Four unpacked rows by 1 x: {@code y[j * yStride + i] = w[i] x[j]}. */
  private static void unpacked1(
      float[] w, int stride, float[] x, int xAt, float[] y, int at, int yStride) {
    FloatVector sum00 = FloatVector.zero(FLOAT);
    FloatVector sum10 = FloatVector.zero(FLOAT);
    FloatVector sum20 = FloatVector.zero(FLOAT);
    FloatVector sum30 = FloatVector.zero(FLOAT);
    for (int k = 0; k < stride; k += LANES) {
      FloatVector w0 = FloatVector.fromArray(FLOAT, w, k);
      FloatVector w1 = FloatVector.fromArray(FLOAT, w, stride + k);
      FloatVector w2 = FloatVector.fromArray(FLOAT, w, 2 * stride + k);
      FloatVector w3 = FloatVector.fromArray(FLOAT, w, 3 * stride + k);
      FloatVector xj = FloatVector.fromArray(FLOAT, x, xAt + k);
      sum00 = w0.fma(xj, sum00);
      sum10 = w1.fma(xj, sum10);
      sum20 = w2.fma(xj, sum20);
      sum30 = w3.fma(xj, sum30);
    }
    y[at + 0] = LaneSum.of(sum00);
    y[at + 1] = LaneSum.of(sum10);
    y[at + 2] = LaneSum.of(sum20);
    y[at + 3] = LaneSum.of(sum30);
  }

  /** Four unpacked rows by 4 x: {@code y[j * yStride + i] = w[i] x[j]}. */
  private static void unpacked4(
      float[] w, int stride, float[] x, int xAt, float[] y, int at, int yStride) {
    FloatVector sum00 = FloatVector.zero(FLOAT);
    FloatVector sum01 = FloatVector.zero(FLOAT);
    FloatVector sum02 = FloatVector.zero(FLOAT);
    FloatVector sum03 = FloatVector.zero(FLOAT);
    FloatVector sum10 = FloatVector.zero(FLOAT);
    FloatVector sum11 = FloatVector.zero(FLOAT);
    FloatVector sum12 = FloatVector.zero(FLOAT);
    FloatVector sum13 = FloatVector.zero(FLOAT);
    FloatVector sum20 = FloatVector.zero(FLOAT);
    FloatVector sum21 = FloatVector.zero(FLOAT);
    FloatVector sum22 = FloatVector.zero(FLOAT);
    FloatVector sum23 = FloatVector.zero(FLOAT);
    FloatVector sum30 = FloatVector.zero(FLOAT);
    FloatVector sum31 = FloatVector.zero(FLOAT);
    FloatVector sum32 = FloatVector.zero(FLOAT);
    FloatVector sum33 = FloatVector.zero(FLOAT);
    for (int k = 0; k < stride; k += LANES) {
      FloatVector w0 = FloatVector.fromArray(FLOAT, w, k);
      FloatVector w1 = FloatVector.fromArray(FLOAT, w, stride + k);
      FloatVector w2 = FloatVector.fromArray(FLOAT, w, 2 * stride + k);
      FloatVector w3 = FloatVector.fromArray(FLOAT, w, 3 * stride + k);
      FloatVector xj = FloatVector.fromArray(FLOAT, x, xAt + k);
      sum00 = w0.fma(xj, sum00);
      sum10 = w1.fma(xj, sum10);
      sum20 = w2.fma(xj, sum20);
      sum30 = w3.fma(xj, sum30);
      xj = FloatVector.fromArray(FLOAT, x, xAt + stride + k);
      sum01 = w0.fma(xj, sum01);
      sum11 = w1.fma(xj, sum11);
      sum21 = w2.fma(xj, sum21);
      sum31 = w3.fma(xj, sum31);
      xj = FloatVector.fromArray(FLOAT, x, xAt + 2 * stride + k);
      sum02 = w0.fma(xj, sum02);
      sum12 = w1.fma(xj, sum12);
      sum22 = w2.fma(xj, sum22);
      sum32 = w3.fma(xj, sum32);
      xj = FloatVector.fromArray(FLOAT, x, xAt + 3 * stride + k);
      sum03 = w0.fma(xj, sum03);
      sum13 = w1.fma(xj, sum13);
      sum23 = w2.fma(xj, sum23);
      sum33 = w3.fma(xj, sum33);
    }
    y[at + 0] = LaneSum.of(sum00);
    y[at + 1] = LaneSum.of(sum10);
    y[at + 2] = LaneSum.of(sum20);
    y[at + 3] = LaneSum.of(sum30);
    y[at + yStride + 0] = LaneSum.of(sum01);
    y[at + yStride + 1] = LaneSum.of(sum11);
    y[at + yStride + 2] = LaneSum.of(sum21);
    y[at + yStride + 3] = LaneSum.of(sum31);
    y[at + 2 * yStride + 0] = LaneSum.of(sum02);
    y[at + 2 * yStride + 1] = LaneSum.of(sum12);
    y[at + 2 * yStride + 2] = LaneSum.of(sum22);
    y[at + 2 * yStride + 3] = LaneSum.of(sum32);
    y[at + 3 * yStride + 0] = LaneSum.of(sum03);
    y[at + 3 * yStride + 1] = LaneSum.of(sum13);
    y[at + 3 * yStride + 2] = LaneSum.of(sum23);
    y[at + 3 * yStride + 3] = LaneSum.of(sum33);
  }

  /** The values of nibbles 0 to 15 in a Q4_1 block, d q + m, as float bits. */
  private static IntVector valuesQ4x1(MemorySegment w, long block) {
    int scaleAndMin = w.get(LE_INT, block);
    FloatVector d = FloatVector.broadcast(FLOAT, HALVES[scaleAndMin & 0xFFFF]);
    FloatVector m = FloatVector.broadcast(FLOAT, HALVES[scaleAndMin >>> 16]);
    return NIBBLES.fma(d, m).reinterpretAsInts();
  }

  /** The values of nibbles 0 to 15 in a Q4_0 block, d (q - 8), as float bits. */
  private static IntVector valuesQ4x0(MemorySegment w, long block) {
    return SIGNED_NIBBLES.mul(scale(w, block)).reinterpretAsInts();
  }

  /** The scale of a block, in every lane. */
  private static FloatVector scale(MemorySegment w, long block) {
    return FloatVector.broadcast(FLOAT, HALVES[w.get(LE_SHORT, block) & 0xFFFF]);
  }

  /** 16 bytes as ints. Look-ups by {@code selectFrom} use the low nibble only: lanes wrap. */
  private static IntVector packedNibbles(MemorySegment w, long at) {
    ByteVector bytes = ByteVector.fromMemorySegment(BYTE, w, at, LITTLE_ENDIAN);
    return (IntVector) bytes.convertShape(ZERO_EXTEND_B2I, INT, 0);
  }

  private static FloatVector signedBytes(MemorySegment w, long at) {
    ByteVector bytes = ByteVector.fromMemorySegment(BYTE, w, at, LITTLE_ENDIAN);
    return (FloatVector) bytes.convertShape(B2F, FLOAT, 0);
  }

  private static FloatVector floats(MemorySegment w, long at) {
    return FloatVector.fromMemorySegment(FLOAT, w, at, LITTLE_ENDIAN);
  }

  /** Halves times 2^-112; see {@link #HALF_SCALE} and {@link Dequantize#widenHalf}. */
  private static FloatVector scaledHalves(MemorySegment w, long at) {
    ShortVector halves = ShortVector.fromMemorySegment(SHORT, w, at, LITTLE_ENDIAN);
    IntVector signExtended = (IntVector) halves.convertShape(S2I, INT, 0);
    return signExtended.lanewise(LSHL, 13).and(0x8FFF_E000).reinterpretAsFloats();
  }

  private static FloatVector brainHalves(MemorySegment w, long at) {
    ShortVector upper = ShortVector.fromMemorySegment(SHORT, w, at, LITTLE_ENDIAN);
    IntVector bits = (IntVector) upper.convertShape(ZERO_EXTEND_S2I, INT, 0);
    return bits.lanewise(LSHL, 16).reinterpretAsFloats();
  }
}
