package org.parallelcomp.eval.cases;

import java.util.Random;

/** Random numbers of one case. */
final class Seeds {
  private Seeds() {}

  /** Returns the numbers of a case; cases that differ in anything get different ones. */
  static Random random(String task, int tokens, int index, long seed) {
    long mixed = seed;
    for (long part : new long[] {task.hashCode(), tokens, index}) {
      mixed = (mixed ^ part) * 0x9E3779B97F4A7C15L;
      mixed ^= mixed >>> 29;
    }
    return new Random(mixed);
  }
}
