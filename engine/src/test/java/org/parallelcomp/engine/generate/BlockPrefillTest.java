package org.parallelcomp.engine.generate;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Blocks cover every token once and never cut through the output rows. */
class BlockPrefillTest {
  private static final int BLOCK_TOKENS = 2048;

  @ParameterizedTest
  @CsvSource({"1,0", "2048,5", "2049,5", "2050,5", "4096,4000", "5000,2048", "10000,1", "4100,300"})
  void outputRowsLieInTheLastBlock(int tokens, int outputRows) {
    int from = 0;
    int last = 0;
    while (from < tokens) {
      int to = BlockPrefill.blockEnd(from, tokens, outputRows, BLOCK_TOKENS);
      assertTrue(to > from, "progress at " + from);
      assertTrue(to - from <= Math.max(BLOCK_TOKENS, outputRows), "block of " + (to - from));
      last = from;
      from = to;
    }
    assertEquals(tokens, from);
    assertTrue(last <= tokens - outputRows, "last block begins at " + last);
  }
}
