package org.parallelcomp.report;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class BiasTest {
  /** Each by eye: which zones are at least twice the weakest. */
  @ParameterizedTest
  @CsvSource({
    "1, 1, 1, UNIFORM",
    "1.9, 1, 1.5, UNIFORM",
    "2, 1, 2, U_SHAPED",
    "9, 0.2, 0.4, U_SHAPED",
    "0.5, 2, 0.6, PEAK",
    "0, 1, 0, PEAK",
    "5, 1, 1, SINK",
    "3, 2, 1, SINK",
    "1, 1, 5, RECENCY",
    "1, 2, 3, RECENCY",
    "1, 0, 0, SINK",
    "0, 0, 0, UNIFORM"
  })
  void aShapeIsNamedByItsZones(double sink, double middle, double recent, Bias expected) {
    assertEquals(expected, Bias.of(sink, middle, recent));
  }
}
