package org.parallelcomp.backend.cpu.vector.simd;

/**
 * Makes C2 compile the register tiles early.
 *
 * <p>Before C2 has compiled it, a vector operation is an object and a call: a tile takes
 * milliseconds instead of half a microsecond, so the first product of a new process would take over
 * a second. Called with its usual number of steps a tile is also compiled for entry in the middle
 * of its loop; calls with few steps reach the ordinary threshold directly.
 */
public final class WarmUp {
  /**
   * C2 starts at 600 calls and calls + loop steps = 15,000 (Tier4MinInvocation-, CompileThreshold).
   */
  private static final int CALLS = 640;

  private static final int STEPS = 24;

  private WarmUp() {}

  /** Starts a thread that warms up while models are loaded and texts cut into tokens. */
  public static void start() {
    Thread.ofPlatform().daemon().name("cpu-vector-warm-up").start(WarmUp::run);
  }

  /** Runs the tiles on zeros until C2 takes them up: some 100 ms each. */
  static void run() {
    float[] a = new float[RegisterTile.ROWS * RegisterTile.DEPTH];
    float[] b = new float[RegisterTile.DEPTH * RegisterTile.COLUMNS];
    float[] c = new float[RegisterTile.ROWS * RegisterTile.COLUMNS];
    for (int call = 0; call < CALLS; call++) {
      RegisterTile.multiply(a, 0, b, 0, c, 0, STEPS);
    }
    float[] rows = new float[STEPS * AttentionTile.ROWS];
    float[] queries = new float[STEPS * AttentionTile.COLUMNS];
    float[] scores = new float[AttentionTile.ROWS * AttentionTile.COLUMNS];
    float[] max = new float[AttentionTile.COLUMNS];
    float[] sum = new float[AttentionTile.COLUMNS];
    float[] newMax = new float[AttentionTile.COLUMNS];
    float[] factor = new float[AttentionTile.COLUMNS];
    for (int call = 0; call < CALLS; call++) {
      AttentionTile.scores(scores, 0, newMax, rows, 0, queries, 0, STEPS);
      AttentionTile.weights(scores, 0, factor, max, sum, 0, newMax, AttentionTile.ROWS);
      AttentionTile.addValues(scores, 0, factor, rows, 0, queries, 0, STEPS);
    }
  }
}
