package org.parallelcomp.conformance;

import java.io.IOException;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.parallelcomp.api.backend.Backend;
import org.parallelcomp.api.backend.BackendConfig;
import org.parallelcomp.api.backend.BackendProvider;

/** A family of rules: opens the backend before each of them, beside the oracle. */
abstract class Rules {
  /** Sizes at which kernels break: one, odd ones, whole vectors, beside a block, beside a tile. */
  static final int[] SIZES = {1, 7, 13, 64, 207, 1025};

  private Twins twins;

  abstract BackendProvider provider();

  @BeforeEach
  void open() throws IOException {
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
