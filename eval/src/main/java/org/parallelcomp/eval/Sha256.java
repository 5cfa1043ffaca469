package org.parallelcomp.eval;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.List;
import java.util.stream.Stream;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;

/** Digests that tell whether a file or a text is still the same. */
final class Sha256 {
  private Sha256() {}

  /** Returns the digest of a text in UTF-8. */
  static String of(String text) {
    return HexFormat.of().formatHex(digest().digest(text.getBytes(StandardCharsets.UTF_8)));
  }

  /** Returns the digest of a file, or of name and digest of every file of a folder. */
  static String of(Path file) {
    try {
      if (Files.isDirectory(file)) {
        StringBuilder all = new StringBuilder();
        try (Stream<Path> files = Files.list(file)) {
          List<Path> sorted = files.filter(Files::isRegularFile).sorted().toList();
          for (Path each : sorted) {
            all.append(each.getFileName()).append(' ').append(of(each)).append('\n');
          }
        }
        return of(all.toString());
      }
      MessageDigest digest = digest();
      try (InputStream stream = Files.newInputStream(file)) {
        byte[] buffer = new byte[1 << 16];
        for (int read = stream.read(buffer); read >= 0; read = stream.read(buffer)) {
          digest.update(buffer, 0, read);
        }
      }
      return HexFormat.of().formatHex(digest.digest());
    } catch (IOException e) {
      throw new InferenceException(
          ErrorCode.FILE_NOT_READABLE, "'" + file + "' cannot be read: " + e.getMessage() + ".", e);
    }
  }

  private static MessageDigest digest() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java has SHA-256", e);
    }
  }
}
