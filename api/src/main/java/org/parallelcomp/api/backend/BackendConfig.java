package org.parallelcomp.api.backend;

import java.util.Map;

/**
 * How to open a backend.
 *
 * @param threads worker threads, at least 1
 * @param options settings that only the one backend knows; an unknown one is refused
 */
public record BackendConfig(int threads, Map<String, String> options) {
  /** The option that says which device to open, of a backend that may run on several. */
  public static final String DEVICE = "device";

  public BackendConfig {
    if (threads < 1) {
      throw new IllegalArgumentException("threads must be at least 1, not " + threads);
    }
    options = Map.copyOf(options);
  }
}
