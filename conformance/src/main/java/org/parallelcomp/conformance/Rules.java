package org.parallelcomp.conformance;

import java.io.IOException;
import java.util.Map;
import java.util.concurrent.atomic.LongAdder;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.extension.ExtendWith;
import org.parallelcomp.api.backend.Backend;
import org.parallelcomp.api.backend.BackendConfig;
import org.parallelcomp.api.backend.BackendProvider;

/** A family of rules: opens the backend before each of them, beside the oracle. */
@ExtendWith(OneRule.class)
abstract class Rules {
  static final int[] SIZES = KitSettings.sizes(4098);

  /** For rules whose cost grows with the square of the size. */
  static final int[] SMALLER_SIZES = KitSettings.sizes(1025);

  private static final LongAdder TESTS = new LongAdder();

  private Twins twins;

  /** Returns how many tests of the kit have begun so far in this process. */
  static long testsRun() {
    return TESTS.sum();
  }

  abstract BackendProvider provider();

  @BeforeEach
  void open() throws IOException {
    TESTS.increment();
    twins = new Twins(provider().open(new BackendConfig(2, Map.of())));
  }

  @AfterEach
  void close() throws IOException {
    twins.close();
  }

  Twins twins() {
    return twins;
  }

  Backend backend() {
    return twins.backend();
  }
}
