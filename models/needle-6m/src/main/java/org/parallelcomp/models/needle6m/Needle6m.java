package org.parallelcomp.models.needle6m;

import java.io.IOException;
import java.nio.file.Path;

/**
 * The bundled model: 5.8 million numbers in Q8_0, trained on 2048 tokens to find stated facts in a
 * text and repeat them. The module's README says how it was made and what it cannot do.
 *
 * <p>An engine maps model files into memory, so the resource is copied to a file once. It lies in
 * the user's cache folder under a name that holds a hash of its contents; a damaged copy is
 * replaced, and several processes may do this at once.
 */
public final class Needle6m {
  private static final ModelCache CACHE = ModelCache.ofSystem();

  private Needle6m() {}

  /**
   * Returns the path of the model's GGUF file, which is written first where it is missing.
   *
   * @throws IOException if neither the cache folder nor the folder for temporary files can hold it
   */
  public static Path path() throws IOException {
    return CACHE.model();
  }

  /** Returns the folder of the user's cache in which {@link #path()} looks first. */
  public static Path cacheFolder() {
    return CACHE.folder();
  }
}
