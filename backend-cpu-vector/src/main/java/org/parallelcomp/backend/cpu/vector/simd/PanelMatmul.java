package org.parallelcomp.backend.cpu.vector.simd;

import static org.parallelcomp.backend.cpu.vector.simd.Dequantize.LE_FLOAT;
import static org.parallelcomp.backend.cpu.vector.simd.RegisterTile.COLUMNS;
import static org.parallelcomp.backend.cpu.vector.simd.RegisterTile.DEPTH;
import static org.parallelcomp.backend.cpu.vector.simd.RegisterTile.ROWS;
import static org.parallelcomp.backend.cpu.vector.simd.Species.FLOAT;
import static org.parallelcomp.backend.cpu.vector.simd.Species.INT;
import static org.parallelcomp.backend.cpu.vector.simd.Species.LANES;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import org.jspecify.annotations.Nullable;
import org.parallelcomp.api.tensor.DType;

/**
 * Matrix product for many rows (prefill): {@code C[M,N] = A[M,K] W[N,K]^T}, optionally plus a bias
 * or plus what C holds.
 *
 * <p>Columns of C are done in blocks whose share of W, unpacked to floats, fits {@link
 * #PANEL_FLOATS}. For each block
 *
 * <ol>
 *   <li>the workers unpack W into panels of {@link RegisterTile#COLUMNS} columns and at most {@link
 *       RegisterTile#DEPTH} k, k-major, so that the inner loop reads them front to back;
 *   <li>the workers compute strips of rows: pack the strip of A, run the register tiles over all
 *       panels with the sums in a scratch, write the strip of C once.
 * </ol>
 *
 * <p>That is two hand-offs per block and no more than 6 MiB of scratch however large W is. A panel
 * is shared by all workers, so unpacking is done once.
 */
public final class PanelMatmul {

  /** What happens to the old content of C. */
  public enum Mode {
    /** C = A W^T + bias. */
    OVERWRITE,
    /** C = C + A W^T + bias. */
    ACCUMULATE
  }

  /**
   * Floats of unpacked W held at once: 4 MiB. Panels stream from the shared cache (32 MiB here) at
   * 10 GB/s per core, which costs nothing, while each further block costs two hand-offs and their
   * uneven ends.
   */
  static final int PANEL_FLOATS = 1 << 20;

  /** Row tiles in a strip: a panel is read from the shared cache once for 4 x 12 rows of A. */
  static final int STRIP_TILES = 4;

  /** Rows of A in a strip. */
  static final int STRIP_ROWS = STRIP_TILES * ROWS;

  /** Tasks per worker to aim at, so that a worker that is held up costs little. */
  private static final int TASKS_PER_WORKER = 8;

  /** Floats of k unpacked at once by {@link #unpack}: a multiple of DEPTH and of every block. */
  private static final int UNPACK_DEPTH = 4 * DEPTH;

  private static final IntVector ZIP_LOW = zipIndexes(0);
  private static final IntVector ZIP_HIGH = zipIndexes(LANES / 2);

  private PanelMatmul() {}

  /** Memory of the products of one caller; reuse it. Not for two products at a time. */
  public static final class Scratch {
    private float[] panels = new float[0];
    final Local[] locals;

    /** For products that use {@code workers} workers. */
    public Scratch(int workers) {
      locals = new Local[workers];
      for (int i = 0; i < workers; i++) {
        locals[i] = new Local();
      }
    }

    private float[] panels(int length) {
      if (panels.length < length) {
        panels = new float[length];
      }
      return panels;
    }
  }

  /** Memory of one worker. */
  static final class Local {
    /** LANES rows of W, and room for the other side of a transposition step. */
    private final float[] rows = new float[LANES * UNPACK_DEPTH];

    private final float[] squareA = new float[LANES * LANES];
    private final float[] squareB = new float[LANES * LANES];
    private float[] a = new float[0];
    private float[] c = new float[0];

    private float[] a(int length) {
      if (a.length < length) {
        a = new float[length];
      }
      return a;
    }

    private float[] c(int length) {
      if (c.length < length) {
        c = new float[length];
      }
      return c;
    }
  }

  /**
   * Computes the product.
   *
   * @param a [M, K] floats
   * @param aOffset byte offset of the first row
   * @param aStride bytes from row to row
   * @param m M, the number of rows
   * @param w [N, K]
   * @param bias N floats, or null
   * @param c [M, N] floats
   * @param cOffset byte offset of the first row
   * @param cStride bytes from row to row
   */
  public static void multiply(
      MemorySegment a,
      long aOffset,
      long aStride,
      int m,
      WeightMatrix w,
      float @Nullable [] bias,
      MemorySegment c,
      long cOffset,
      long cStride,
      Mode mode,
      Workers workers,
      Scratch scratch) {
    int n = w.rows();
    int k = w.columns();
    if (m == 0 || n == 0) {
      return;
    }
    Product p = new Product(a, aOffset, aStride, m, w, bias, c, cOffset, cStride, mode);
    int slices = Math.max(1, ceilDiv(k, DEPTH));
    int panels = ceilDiv(n, COLUMNS);
    int mostPanels = Math.max(1, PANEL_FLOATS / (slices * DEPTH * COLUMNS));
    int blocks = ceilDiv(panels, mostPanels);
    int blockPanels = ceilDiv(panels, blocks);
    float[] unpacked = scratch.panels(blockPanels * slices * DEPTH * COLUMNS);
    for (int first = 0; first < panels; first += blockPanels) {
      int firstPanel = first;
      int count = Math.min(blockPanels, panels - first);
      workers.run(
          count,
          (task, worker) ->
              unpack(w, firstPanel + task, unpacked, task, slices, scratch.locals[worker]));
      int tiles = ceilDiv(m, ROWS);
      // Strips first: they share panels. Columns are split only if there are too few strips.
      int wanted = TASKS_PER_WORKER * workers.count();
      int strips = Math.max(ceilDiv(tiles, STRIP_TILES), Math.min(tiles, wanted));
      strips = Math.min(tiles, ceilDiv(strips, workers.count()) * workers.count());
      int spans = Math.min(count, ceilDiv(wanted / 2, strips));
      int stripCount = strips;
      workers.run(
          strips * spans,
          (task, worker) -> {
            int strip = task % stripCount;
            int span = task / stripCount;
            int tileFrom = (int) ((long) tiles * strip / stripCount);
            int tileTo = (int) ((long) tiles * (strip + 1) / stripCount);
            int panelFrom = (int) ((long) count * span / spans);
            int panelTo = (int) ((long) count * (span + 1) / spans);
            strip(
                p,
                tileFrom,
                tileTo,
                unpacked,
                firstPanel,
                panelFrom,
                panelTo,
                slices,
                scratch.locals[worker]);
          });
    }
  }

  private record Product(
      MemorySegment a,
      long aOffset,
      long aStride,
      int m,
      WeightMatrix w,
      float @Nullable [] bias,
      MemorySegment c,
      long cOffset,
      long cStride,
      Mode mode) {}

  /**
   * Unpacks one panel: rows {@code panel * COLUMNS …} of W, to slot {@code slot} of {@code to},
   * laid out as {@code [slice][DEPTH][COLUMNS]}. Rows past the end of W become zeros.
   */
  static void unpack(WeightMatrix w, int panel, float[] to, int slot, int slices, Local local) {
    int panelAt = slot * slices * DEPTH * COLUMNS;
    DType format = w.format();
    for (int half = 0; half < COLUMNS; half += LANES) {
      int row = panel * COLUMNS + half;
      int rows = Math.clamp(w.rows() - row, 0, LANES);
      for (int k = 0; k < w.columns(); k += UNPACK_DEPTH) {
        int depth = Math.min(UNPACK_DEPTH, w.columns() - k);
        for (int r = 0; r < LANES; r++) {
          int at = r * UNPACK_DEPTH;
          if (r < rows) {
            long from = w.rowOffset(row + r) + format.bytes(k);
            Dequantize.blocks(format, w.segment(), from, depth, local.rows, at);
          } else {
            Arrays.fill(local.rows, at, at + depth, 0f);
          }
        }
        transpose(local, depth, to, panelAt + k * COLUMNS + half);
      }
    }
  }

  /** Writes {@code local.rows}, [LANES][UNPACK_DEPTH], to {@code to} as [depth][COLUMNS]. */
  private static void transpose(Local local, int depth, float[] to, int at) {
    int k = 0;
    for (; k <= depth - LANES; k += LANES) {
      transposeSquare(local, k, to, at + k * COLUMNS);
    }
    for (; k < depth; k++) {
      for (int r = 0; r < LANES; r++) {
        to[at + k * COLUMNS + r] = local.rows[r * UNPACK_DEPTH + k];
      }
    }
  }

  /**
   * Transposes LANES x LANES floats by log2(LANES) perfect shuffles: each step interleaves row i
   * with row i + LANES/2 into rows 2i and 2i+1.
   */
  private static void transposeSquare(Local local, int k, float[] to, int at) {
    zip(local.rows, k, UNPACK_DEPTH, local.squareA, 0, LANES);
    if (LANES == 16) {
      zip(local.squareA, 0, LANES, local.squareB, 0, LANES);
      zip(local.squareB, 0, LANES, local.squareA, 0, LANES);
    } else if (LANES == 8) {
      zip(local.squareA, 0, LANES, local.squareB, 0, LANES);
      zip(local.squareB, 0, LANES, to, at, COLUMNS);
      return;
    }
    zip(local.squareA, 0, LANES, to, at, COLUMNS);
  }

  private static void zip(
      float[] from, int fromAt, int fromStride, float[] to, int toAt, int toStride) {
    for (int i = 0; i < LANES / 2; i++) {
      IntVector x = FloatVector.fromArray(FLOAT, from, fromAt + i * fromStride).reinterpretAsInts();
      IntVector y =
          FloatVector.fromArray(FLOAT, from, fromAt + (i + LANES / 2) * fromStride)
              .reinterpretAsInts();
      ZIP_LOW.selectFrom(x, y).reinterpretAsFloats().intoArray(to, toAt + 2 * i * toStride);
      ZIP_HIGH.selectFrom(x, y).reinterpretAsFloats().intoArray(to, toAt + (2 * i + 1) * toStride);
    }
  }

  /** x[first], y[first], x[first + 1], y[first + 1], …, where y's lanes count from LANES. */
  private static IntVector zipIndexes(int first) {
    int[] indexes = new int[LANES];
    for (int i = 0; i < LANES; i++) {
      indexes[i] = first + i / 2 + (i % 2) * LANES;
    }
    return IntVector.fromArray(INT, indexes, 0);
  }

  /** Computes row tiles {@code tileFrom … tileTo} of C in panels {@code panelFrom … panelTo}. */
  private static void strip(
      Product p,
      int tileFrom,
      int tileTo,
      float[] panels,
      int firstPanel,
      int panelFrom,
      int panelTo,
      int slices,
      Local local) {
    int k = p.w.columns();
    int width = panelTo - panelFrom;
    for (int tile = tileFrom; tile < tileTo; tile += STRIP_TILES) {
      int tiles = Math.min(STRIP_TILES, tileTo - tile);
      int row = tile * ROWS;
      int rows = Math.min(tiles * ROWS, p.m - row);
      float[] a = local.a(STRIP_ROWS * slices * DEPTH);
      float[] c = local.c(STRIP_TILES * width * ROWS * COLUMNS);
      packRows(p, row, rows, a, k);
      Arrays.fill(c, 0, STRIP_TILES * width * ROWS * COLUMNS, 0f);
      for (int slice = 0; slice < slices; slice++) {
        int depth = Math.min(DEPTH, k - slice * DEPTH);
        for (int panel = 0; panel < width; panel++) {
          int b = ((panelFrom + panel) * slices + slice) * DEPTH * COLUMNS;
          for (int t = 0; t < tiles; t++) {
            RegisterTile.multiply(
                a,
                (slice * STRIP_TILES + t) * ROWS * DEPTH,
                panels,
                b,
                c,
                (panel * STRIP_TILES + t) * ROWS * COLUMNS,
                depth);
          }
        }
      }
      for (int panel = 0; panel < width; panel++) {
        writeTiles(p, row, rows, (firstPanel + panelFrom + panel) * COLUMNS, c, panel);
      }
    }
  }

  /** Packs rows of A as [slice][STRIP_ROWS][DEPTH]. Rows past the end keep old numbers: unused. */
  private static void packRows(Product p, int row, int rows, float[] to, int k) {
    for (int r = 0; r < rows; r++) {
      long from = p.aOffset + (row + r) * p.aStride;
      for (int at = 0; at < k; at += DEPTH) {
        int depth = Math.min(DEPTH, k - at);
        MemorySegment.copy(
            p.a, LE_FLOAT, from + 4L * at, to, (at / DEPTH * STRIP_ROWS + r) * DEPTH, depth);
      }
    }
  }

  /** Writes one panel's columns of a strip to C. */
  private static void writeTiles(Product p, int row, int rows, int column, float[] c, int panel) {
    int columns = Math.min(COLUMNS, p.w.rows() - column);
    for (int r = 0; r < rows; r++) {
      int at = (panel * STRIP_ROWS + r) * COLUMNS;
      long to = p.cOffset + (row + r) * p.cStride + 4L * column;
      if (p.bias != null) {
        for (int j = 0; j < columns; j++) {
          c[at + j] += p.bias[column + j];
        }
      }
      if (p.mode == Mode.ACCUMULATE) {
        for (int j = 0; j < columns; j++) {
          c[at + j] += p.c.get(LE_FLOAT, to + 4L * j);
        }
      }
      MemorySegment.copy(c, at, p.c, LE_FLOAT, to, columns);
    }
  }

  private static int ceilDiv(int a, int b) {
    return Math.ceilDiv(a, b);
  }
}
