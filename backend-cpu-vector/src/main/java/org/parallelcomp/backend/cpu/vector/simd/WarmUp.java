package org.parallelcomp.backend.cpu.vector.simd;

/**
 * Makes C2 compile the register tile early.
 *
 * <p>Before C2 has compiled it, a vector operation is an object and a call: a tile takes
 * milliseconds instead of half a microsecond, so the first product of a new process would take over
 * a second. Called with its usual 192 steps the method is also compiled three times on the way (for
 * entry in the middle of the loop, too). Calls with few steps reach the ordinary threshold
 * directly.
 */
public final class WarmUp {

  /**
   * C2 starts at 600 calls and calls + loop steps = 15,000 (Tier4MinInvocation-, CompileThreshold).
   */
  private static final int CALLS = 640;

  private static final int STEPS = 24;

  private WarmUp() {}

  /**
   * Runs the tile on zeros until C2 takes it up; takes some 100 ms. Call it beside model loading.
   */
  public static void run() {
    float[] a = new float[RegisterTile.ROWS * RegisterTile.DEPTH];
    float[] b = new float[RegisterTile.DEPTH * RegisterTile.COLUMNS];
    float[] c = new float[RegisterTile.ROWS * RegisterTile.COLUMNS];
    for (int call = 0; call < CALLS; call++) {
      RegisterTile.multiply(a, 0, b, 0, c, 0, STEPS);
    }
  }
}
