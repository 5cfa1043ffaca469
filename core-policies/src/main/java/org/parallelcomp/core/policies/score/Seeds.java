package org.parallelcomp.core.policies.score;

import java.util.SplittableRandom;

/** Random numbers that differ from layer to layer and are the same in every run. */
final class Seeds {
  private Seeds() {}

  /** Returns the random numbers of a layer. */
  static SplittableRandom random(long seed, int layer) {
    // Mixed once, or seed s would give to layer l + 1 what seed s + 1 gives to layer l.
    return new SplittableRandom(new SplittableRandom(seed).nextLong() + layer);
  }
}
