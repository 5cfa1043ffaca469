package org.parallelcomp.eval;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.List;
import org.junit.jupiter.api.Test;

/** Divergences worked out by hand. */
class DivergenceTest {
  /** p = (1/2, 1/2), q = (1/4, 3/4): 1/2 ln 2 + 1/2 ln (2/3) = ln(2 / sqrt 3). */
  @Test
  void ofTwoCoins() {
    float[] p = {3, 3};
    float[] q = {0, (float) Math.log(3)};
    assertEquals(Math.log(2 / Math.sqrt(3)), Divergence.mean(List.of(p), List.of(q)), 1e-7);
    assertEquals(
        Math.log(2 / Math.sqrt(3)) / 2,
        Divergence.mean(List.of(p, p), List.of(q, p)),
        1e-7,
        "mean of one position that differs and one that does not");
  }

  @Test
  void doesNotOverflow() {
    assertEquals(
        0, Divergence.mean(List.of(new float[] {1e4f, 1e4f}), List.of(new float[2])), 1e-9);
  }

  @Test
  void needsAsManyPositions() {
    assertThrows(IllegalArgumentException.class, () -> Divergence.mean(List.of(), List.of()));
  }
}
