package org.parallelcomp.backend.cpu.vector.simd;

import static org.parallelcomp.backend.cpu.vector.simd.Species.FLOAT;
import static org.parallelcomp.backend.cpu.vector.simd.Species.LANES;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorShuffle;

/**
 * The sum over the lanes of a vector in a fixed order. {@code reduceLanes} adds in one order before
 * it is compiled and in another afterwards, so results would depend on how warm the process is.
 */
final class LaneSum {
  private static final VectorShuffle<Float> BY_8 = exchange(8);
  private static final VectorShuffle<Float> BY_4 = exchange(4);
  private static final VectorShuffle<Float> BY_2 = exchange(2);
  private static final VectorShuffle<Float> BY_1 = exchange(1);

  private LaneSum() {}

  /** Returns the sum. */
  static float of(FloatVector x) {
    FloatVector sum = x;
    if (LANES >= 16) {
      sum = sum.add(sum.rearrange(BY_8));
    }
    if (LANES >= 8) {
      sum = sum.add(sum.rearrange(BY_4));
    }
    sum = sum.add(sum.rearrange(BY_2));
    sum = sum.add(sum.rearrange(BY_1));
    return sum.lane(0);
  }

  /** Exchanges lanes that lie so far apart; the identity where there are too few lanes. */
  private static VectorShuffle<Float> exchange(int distance) {
    return VectorShuffle.fromOp(FLOAT, lane -> distance < LANES ? lane ^ distance : lane);
  }
}
