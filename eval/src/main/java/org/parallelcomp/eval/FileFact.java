package org.parallelcomp.eval;

import java.nio.file.Path;

/**
 * A file that a result depends on.
 *
 * @param path as it was named, or {@link #BUNDLED} for the bundled model
 * @param sha256 of its bytes, or of the bytes of a folder's files, in hexadecimal digits
 */
public record FileFact(String path, String sha256) {
  /** Stands for the bundled model, whose file lies elsewhere on every machine. */
  public static final String BUNDLED = "bundled";

  /** Returns the facts of a file or folder as it is now. */
  public static FileFact of(Path file) {
    return new FileFact(file.toString(), Sha256.of(file));
  }
}
