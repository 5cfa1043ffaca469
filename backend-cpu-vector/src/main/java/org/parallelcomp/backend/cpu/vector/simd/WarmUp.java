package org.parallelcomp.backend.cpu.vector.simd;

/**
 * Makes C2 compile the register tiles early.
 *
 * <p>Before C2 has compiled it, a vector operation is an object and a call: a tile takes 100 or
 * more microseconds instead of half of one, so the first chunk of a new process would take seconds.
 *
 * <p>The product's tile is called with the number of steps that it will see: C2 unrolls by what it
 * has counted, and a tile warmed up with 24 steps stayed at 75 % of the peak where this one reaches
 * 85 %.
 */
public final class WarmUp {
  /** Steps of a call: C2 wants 600 calls, and 15,000 calls and steps (Tier4CompileThreshold). */
  private static final int STEPS = 24;

  private static final int ROUND_CALLS = 64;

  /** Compiled, a call takes 1 microsecond; before that, 50 and more. */
  private static final long FAST_ROUND_NANOS = ROUND_CALLS * 8_000L;

  /** Rounds after which C2 has been asked, and only its answer is waited for. */
  private static final int BUSY_ROUNDS = 14;

  private static final long WAIT_MILLIS = 2;
  private static final long MOST_NANOS = 3_000_000_000L;

  private WarmUp() {}

  /** Starts a thread that warms up while models are loaded and texts cut into tokens. */
  public static void start() {
    Thread.ofPlatform().daemon().name("cpu-vector-warm-up").start(WarmUp::run);
  }

  /** Runs the tiles on zeros until they are fast. */
  static void run() {
    float[] a = new float[RegisterTile.ROWS * RegisterTile.DEPTH];
    float[] b = new float[RegisterTile.DEPTH * RegisterTile.COLUMNS];
    float[] c = new float[RegisterTile.ROWS * RegisterTile.COLUMNS];
    float[] rows = new float[STEPS * AttentionTile.ROWS];
    float[] queries = new float[STEPS * AttentionTile.COLUMNS];
    float[] scores = new float[AttentionTile.ROWS * AttentionTile.COLUMNS];
    float[] max = new float[AttentionTile.COLUMNS];
    float[] sum = new float[AttentionTile.COLUMNS];
    float[] other = new float[AttentionTile.COLUMNS];
    float[] factor = new float[AttentionTile.COLUMNS];
    untilFast(() -> RegisterTile.multiply(a, 0, b, 0, c, 0, RegisterTile.DEPTH));
    untilFast(() -> AttentionTile.scores(scores, 0, other, rows, 0, queries, 0, STEPS));
    untilFast(() -> AttentionTile.addValues(scores, 0, factor, rows, 0, queries, 0, STEPS));
    untilFast(() -> AttentionTile.weights(scores, 0, factor, max, sum, 0, other, 8));
    untilFast(() -> AttentionTile.mask(scores, 0, other, max, 8));
  }

  /**
   * Calls until a round of calls is fast. A tile that was first compiled without counters, since C2
   * was busy, has to be called as often once more; hence no fixed number of calls.
   */
  private static void untilFast(Runnable call) {
    long end = System.nanoTime() + MOST_NANOS;
    for (int round = 0; System.nanoTime() < end; round++) {
      long start = System.nanoTime();
      for (int i = 0; i < ROUND_CALLS; i++) {
        call.run();
      }
      if (System.nanoTime() - start < FAST_ROUND_NANOS) {
        return;
      }
      if (round >= BUSY_ROUNDS) {
        try {
          Thread.sleep(WAIT_MILLIS);
        } catch (InterruptedException e) {
          Thread.currentThread().interrupt();
          return;
        }
      }
    }
  }
}
