package org.parallelcomp.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.parallelcomp.api.error.InferenceException;

/** Numbers as people write them, and the line that shows how far an evaluation is. */
class EvalOptionsTest {
  @Test
  void lengthsMayHaveAK() {
    assertEquals(4096, EvalOptions.length("4K"));
    assertEquals(131_072, EvalOptions.length(" 128k"));
    assertEquals(1536, EvalOptions.length("1.5K"));
    assertEquals(7400, EvalOptions.length("7400"));
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "K", "0", "-1K", "many", "0.3", "1e30"})
  void whatIsNoLengthIsRefused(String text) {
    assertThrows(InferenceException.class, () -> EvalOptions.length(text));
  }

  @Test
  void sizesMayHaveUnits() {
    assertEquals(512 << 10, EvalOptions.bytes("512K"));
    assertEquals(1 << 20, EvalOptions.bytes("1MiB"));
    assertEquals(1_000_000, EvalOptions.bytes("1000000"));
    assertThrows(InferenceException.class, () -> EvalOptions.bytes("big"));
  }

  @Test
  void progressTellsTheTimeLeftByTheCasesOfThisRun() {
    assertEquals(
        "[###.........] 25/100 cases", EvalProgress.cases(25, 100, 0, 0), "nothing is known yet");
    // Five cases took 10 s, so 75 take 150 s.
    assertEquals(
        "[###.........] 25/100 cases  2:30 left", EvalProgress.cases(25, 100, 5, 10_000_000_000L));
    assertEquals(
        "[############] 7/7 cases  0:00 left", EvalProgress.cases(7, 7, 7, 1_000_000_000L));
  }
}
