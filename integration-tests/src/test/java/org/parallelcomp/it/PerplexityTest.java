package org.parallelcomp.it;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.Test;

/**
 * Perplexity of a text that no training step has seen is that of the model's reference
 * implementation (PyTorch, float32): of the F16 weights on Moby-Dick, 16 passages of 2048 tokens
 * from token 30,000 on. These are all the passages behind the reference's figure, so that the two
 * differ by arithmetic only: the first six digits were equal when this was written.
 */
class PerplexityTest {
  private static final Path MODEL =
      Path.of("../engine/src/test/resources/needle-6m/needle-6m-f16.gguf");

  /** By the model's evaluation; its README rounds it to 52.2. */
  private static final double REFERENCE = 52.2476;

  /** Whole passages of the book behind the reference's figure. */
  private static final int PASSAGES = 16;

  @Test
  void ofAHeldOutBookIsThatOfTheReference() {
    double perplexity;
    try (var heldOut = HeldOutText.open(MODEL, null, Map.of())) {
      perplexity = heldOut.perplexity(PASSAGES);
    }
    System.out.printf("perplexity of Moby-Dick: %.4f%n", perplexity);
    assertEquals(REFERENCE, perplexity, 0.001 * REFERENCE);
  }
}
