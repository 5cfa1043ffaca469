package org.parallelcomp.backend.cpu.vector.simd;

import static org.parallelcomp.backend.cpu.vector.simd.RegisterTile.COLUMNS;
import static org.parallelcomp.backend.cpu.vector.simd.RegisterTile.DEPTH;

import java.util.Arrays;

/**
 * Matrix product of one strip of rows with a matrix that has been unpacked before, on the calling
 * thread: for callers that take a strip through several products while it is in the second-level
 * cache.
 */
public final class StripMatmul {
  /** Rows of a strip. */
  public static final int ROWS = PanelMatmul.STRIP_ROWS;

  private StripMatmul() {}

  /** A matrix unpacked to panels; reuse it. */
  public static final class Panels {
    private WeightMatrix matrix;
    private float[] unpacked = new float[0];
    private int slices;

    /** Takes a matrix, whose panels are then to be unpacked. */
    public void set(WeightMatrix matrix) {
      this.matrix = matrix;
      this.slices = slices(matrix);
      int length = Math.toIntExact(floats(matrix));
      if (unpacked.length < length) {
        unpacked = new float[length];
      }
    }

    /** Returns the number of panels. */
    public int count() {
      return Math.ceilDiv(matrix.rows(), COLUMNS);
    }

    /** Unpacks one panel. */
    public void unpack(int panel, PanelMatmul.Scratch scratch, int worker) {
      PanelMatmul.unpack(matrix, panel, unpacked, panel, slices, scratch.locals[worker]);
    }
  }

  /** Memory of one strip on its way through products. */
  public static final class Strip {
    private final float[] sums = new float[ROWS * COLUMNS];
    private final float[] moreSums = new float[ROWS * COLUMNS];
    private float[] in = new float[0];
    private float[] next = new float[0];

    /** Makes room for rows of that many numbers, and for such rows that come of them. */
    public void reserve(int columns, int nextColumns) {
      int length = ROWS * Math.ceilDiv(columns, DEPTH) * DEPTH;
      if (in.length < length) {
        in = new float[length];
      }
      int nextLength = ROWS * Math.ceilDiv(nextColumns, DEPTH) * DEPTH;
      if (next.length < nextLength) {
        next = new float[nextLength];
      }
    }

    /** Makes an array a row of the strip. */
    public void setRow(int row, float[] from, int columns) {
      for (int k = 0; k < columns; k += DEPTH) {
        int at = (k / DEPTH * ROWS + row) * DEPTH;
        System.arraycopy(from, k, in, at, Math.min(DEPTH, columns - k));
      }
    }

    /** Computes {@code out = strip · panelsᵀ}, out being [rows][matrix rows]. */
    public void multiply(float[] out, Panels panels, int rows) {
      int columns = panels.matrix.rows();
      for (int panel = 0; panel < panels.count(); panel++) {
        product(sums, in, panels, panel, rows);
        int column = panel * COLUMNS;
        int width = Math.min(COLUMNS, columns - column);
        for (int row = 0; row < rows; row++) {
          System.arraycopy(sums, row * COLUMNS, out, row * columns + column, width);
        }
      }
    }

    /** Makes {@code swiGlu(strip · gateᵀ, strip · upᵀ)} the strip. */
    public void multiplyGated(Panels gate, Panels up, int rows) {
      int columns = gate.matrix.rows();
      for (int panel = 0; panel < gate.count(); panel++) {
        product(sums, in, gate, panel, rows);
        product(moreSums, in, up, panel, rows);
        Elementwise.swiGlu(sums, 0, moreSums, 0, rows * COLUMNS);
        int column = panel * COLUMNS;
        int width = Math.min(COLUMNS, columns - column);
        int at = column / DEPTH * ROWS * DEPTH + column % DEPTH;
        for (int row = 0; row < rows; row++) {
          System.arraycopy(sums, row * COLUMNS, next, at + row * DEPTH, width);
        }
      }
      float[] old = in;
      in = next;
      next = old;
    }
  }

  /** Returns the floats of a matrix in panels. */
  public static long floats(WeightMatrix matrix) {
    return (long) Math.ceilDiv(matrix.rows(), COLUMNS) * COLUMNS * slices(matrix) * DEPTH;
  }

  private static int slices(WeightMatrix matrix) {
    return Math.ceilDiv(matrix.columns(), DEPTH);
  }

  /** sums [ROWS][COLUMNS] = in · panel; in [slice][ROWS][DEPTH]. */
  private static void product(float[] sums, float[] in, Panels panels, int panel, int rows) {
    Arrays.fill(sums, 0, rows * COLUMNS, 0);
    int columns = panels.matrix.columns();
    for (int slice = 0; slice < panels.slices; slice++) {
      int depth = Math.min(DEPTH, columns - slice * DEPTH);
      int b = (panel * panels.slices + slice) * DEPTH * COLUMNS;
      for (int row = 0; row < rows; row += RegisterTile.ROWS) {
        RegisterTile.multiply(
            in, (slice * ROWS + row) * DEPTH, panels.unpacked, b, sums, row * COLUMNS, depth);
      }
    }
  }
}
