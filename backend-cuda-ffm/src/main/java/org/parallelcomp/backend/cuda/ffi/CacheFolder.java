package org.parallelcomp.backend.cuda.ffi;

import java.nio.file.Path;
import java.util.Map;

/** The folder for what can be made again: compiled kernels and unpacked libraries. */
final class CacheFolder {
  private CacheFolder() {}

  /** Returns {@code parallelcomp/cuda} in the cache folder of the user (XDG base directories). */
  static Path of(Map<String, String> variables, Path home) {
    String xdg = variables.get("XDG_CACHE_HOME");
    Path cache = xdg == null || xdg.isBlank() ? home.resolve(".cache") : Path.of(xdg);
    return cache.resolve("parallelcomp").resolve("cuda");
  }

  /** Returns the folder of this process' user. */
  static Path ofProcess() {
    return of(System.getenv(), Path.of(System.getProperty("user.home", "/")));
  }
}
