package org.parallelcomp.conformance;

import java.util.concurrent.ThreadLocalRandom;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * How the kit runs, by system properties:
 *
 * <pre>
 * parallelcomp.conformance.seed      a number from which all data is drawn, or "random"
 * parallelcomp.conformance.thorough  true for more sizes and every case with several seeds
 * parallelcomp.conformance.rule      the number of the only rule that is to run, as in B211
 * </pre>
 */
final class KitSettings {
  private static final String PREFIX = "parallelcomp.conformance.";

  static final String SEED_PROPERTY = PREFIX + "seed";
  static final String RULE_PROPERTY = PREFIX + "rule";
  static final String THOROUGH_PROPERTY = PREFIX + "thorough";

  /** The seed of this run. Fixed unless asked otherwise, so that a build gives one answer. */
  static final long SEED = seed(System.getProperty(SEED_PROPERTY, "1"));

  static final boolean THOROUGH = Boolean.getBoolean(THOROUGH_PROPERTY);

  /** The number of the only rule to run, or null for all. */
  static final @Nullable String RULE = System.getProperty(RULE_PROPERTY);

  /** How often each seeded case runs, each time with data of its own. */
  static final int ROUNDS = THOROUGH ? 3 : 1;

  /** Sizes at which kernels break: one, odd ones, whole vectors, beside a block, beside a tile. */
  private static final int[] USUAL = {1, 7, 13, 64, 207, 1025, 4098};

  /** Around every power of two up to a tile, and around a few larger ones. */
  private static final int[] MORE = {
    2, 3, 4, 5, 8, 9, 15, 16, 17, 31, 32, 33, 47, 48, 49, 63, 65, 127, 128, 129, 255, 256, 257, 511,
    513, 1023, 1024, 2047, 2049, 4095, 4097
  };

  private KitSettings() {}

  /** Returns the sizes that a rule runs over, at most {@code largest}. */
  static int[] sizes(int largest) {
    IntStream all =
        THOROUGH ? IntStream.concat(IntStream.of(USUAL), IntStream.of(MORE)) : IntStream.of(USUAL);
    return all.filter(size -> size <= largest).sorted().toArray();
  }

  private static long seed(String text) {
    if (text.equals("random")) {
      return ThreadLocalRandom.current().nextLong(1_000_000_000);
    }
    try {
      return Long.parseLong(text);
    } catch (NumberFormatException e) {
      throw new IllegalArgumentException(
          SEED_PROPERTY + " must be a whole number or \"random\", not \"" + text + "\"", e);
    }
  }
}
