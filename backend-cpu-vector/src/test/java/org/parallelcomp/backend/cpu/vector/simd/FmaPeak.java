package org.parallelcomp.backend.cpu.vector.simd;

import static org.parallelcomp.backend.cpu.vector.simd.Species.FLOAT;
import static org.parallelcomp.backend.cpu.vector.simd.Species.LANES;

import jdk.incubator.vector.FloatVector;

/** The fused multiply-adds that the cores can do when nothing is loaded: what shares refer to. */
public final class FmaPeak {
  private static final int STEPS = 200_000;
  private static volatile float sink;

  private final Workers workers;

  /** Measures with these workers. */
  public FmaPeak(Workers workers) {
    this.workers = workers;
  }

  /** Returns the best of some runs, in GFLOP/s of all workers. */
  public double gigaflops() {
    double best = 0;
    for (int i = 0; i < 4; i++) {
      long start = System.nanoTime();
      workers.run(workers.count(), (task, worker) -> burn(STEPS));
      long nanos = System.nanoTime() - start;
      best = Math.max(best, workers.count() * 2.0 * 16 * LANES * STEPS / nanos);
    }
    return best;
  }

  /** Compiles the loop. */
  public static void warmUp() {
    for (int i = 0; i < 30; i++) {
      burn(STEPS / 10);
    }
  }

  /** 16 sums, which hide the latency of 4 cycles at two instructions per cycle. */
  private static void burn(int steps) {
    FloatVector x = FloatVector.broadcast(FLOAT, 0.999f);
    FloatVector y = FloatVector.broadcast(FLOAT, 1e-3f);
    FloatVector a0 = y;
    FloatVector a1 = y;
    FloatVector a2 = y;
    FloatVector a3 = y;
    FloatVector a4 = y;
    FloatVector a5 = y;
    FloatVector a6 = y;
    FloatVector a7 = y;
    FloatVector b0 = y;
    FloatVector b1 = y;
    FloatVector b2 = y;
    FloatVector b3 = y;
    FloatVector b4 = y;
    FloatVector b5 = y;
    FloatVector b6 = y;
    FloatVector b7 = y;
    for (int i = 0; i < steps; i++) {
      a0 = a0.fma(x, y);
      a1 = a1.fma(x, y);
      a2 = a2.fma(x, y);
      a3 = a3.fma(x, y);
      a4 = a4.fma(x, y);
      a5 = a5.fma(x, y);
      a6 = a6.fma(x, y);
      a7 = a7.fma(x, y);
      b0 = b0.fma(x, y);
      b1 = b1.fma(x, y);
      b2 = b2.fma(x, y);
      b3 = b3.fma(x, y);
      b4 = b4.fma(x, y);
      b5 = b5.fma(x, y);
      b6 = b6.fma(x, y);
      b7 = b7.fma(x, y);
    }
    FloatVector a = a0.add(a1).add(a2.add(a3)).add(a4.add(a5).add(a6.add(a7)));
    FloatVector b = b0.add(b1).add(b2.add(b3)).add(b4.add(b5).add(b6.add(b7)));
    sink = LaneSum.of(a.add(b));
  }
}
