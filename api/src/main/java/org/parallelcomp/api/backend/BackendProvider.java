package org.parallelcomp.api.backend;

/**
 * Finds out whether a backend can run here, and opens it. Registered with {@code provides
 * BackendProvider with …}; the constructor and {@link #id()} must touch nothing native and nothing
 * that may be missing.
 */
public interface BackendProvider {
  /** Returns the unique name by which users choose the backend, in lower-case kebab form. */
  String id();

  /** Returns one line on what the backend is. */
  String summary();

  /** Returns whether the backend can run here, or every reason why not. Must not throw. */
  Availability probe();

  /**
   * Opens the backend. One that may run on several devices takes the option {@value
   * BackendConfig#DEVICE}.
   *
   * @throws org.parallelcomp.api.error.InferenceException with a code of category DEVICE or
   *     RESOURCES if it cannot be opened after all, USER if an option is unknown
   */
  Backend open(BackendConfig config);
}
