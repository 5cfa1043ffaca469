package org.parallelcomp.models.needle6m;

import java.io.IOException;
import java.io.InputStream;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.nio.file.AtomicMoveNotSupportedException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Files made of resources: {@code <folder>/parallelcomp/needle-6m-<hash>/<resource>}. */
final class ModelCache {
  /** The weights, and beside them the words around text and question that suit them. */
  static final String MODEL = "needle-6m-q8_0.gguf";

  static final String FORM = "needle-6m.parallelcomp.properties";

  private static final Logger LOG = System.getLogger(ModelCache.class.getName());

  /** 48 bits: enough to tell the few versions of one model apart in a folder's name. */
  private static final int HASH_BYTES = 6;

  private final Path userCache;
  private final Path temporary;

  ModelCache(Path userCache, Path temporary) {
    this.userCache = userCache;
    this.temporary = temporary;
  }

  /** Returns the cache of the user who runs this process. */
  static ModelCache ofSystem() {
    return new ModelCache(
        userCache(System.getenv(), System.getProperty("os.name"), System.getProperty("user.home")),
        Path.of(System.getProperty("java.io.tmpdir"), System.getProperty("user.name")));
  }

  /** Returns where an operating system wants caches to be. */
  static Path userCache(Map<String, String> environment, String osName, String home) {
    String os = osName.toLowerCase(Locale.ROOT);
    String xdg = environment.getOrDefault("XDG_CACHE_HOME", "");
    // The specification says that a relative path in XDG_CACHE_HOME is to be ignored.
    if (!xdg.isEmpty() && Path.of(xdg).isAbsolute()) {
      return Path.of(xdg);
    }
    if (os.startsWith("windows")) {
      String local = environment.getOrDefault("LOCALAPPDATA", "");
      return local.isEmpty() ? Path.of(home, "AppData", "Local") : Path.of(local);
    }
    return os.startsWith("mac") ? Path.of(home, "Library", "Caches") : Path.of(home, ".cache");
  }

  Path folder() {
    return userCache.resolve("parallelcomp");
  }

  Path model() throws IOException {
    byte[] weights = resource(MODEL);
    byte[] form = resource(FORM);
    String name = "needle-6m-" + hash(weights, form);
    IOException first = null;
    for (Path folder : List.of(folder(), temporary.resolve("parallelcomp"))) {
      try {
        return place(folder.resolve(name), weights, form);
      } catch (IOException e) {
        if (first != null) {
          e.addSuppressed(first);
          throw e;
        }
        first = e;
        LOG.log(
            Level.WARNING,
            "The bundled model cannot be kept in {0} ({1}); it goes to {2} instead.",
            folder,
            e,
            temporary);
      }
    }
    throw new AssertionError("the loop returns or throws");
  }

  private static Path place(Path folder, byte[] weights, byte[] form) throws IOException {
    Path model = folder.resolve(MODEL);
    Files.createDirectories(folder);
    // The form first: who sees the model sees its form.
    replaceUnlessEqual(folder.resolve(FORM), form);
    replaceUnlessEqual(model, weights);
    return model;
  }

  private static void replaceUnlessEqual(Path file, byte[] contents) throws IOException {
    if (holds(file, contents)) {
      return;
    }
    Path partial = Files.createTempFile(file.getParent(), file.getFileName() + ".", ".part");
    try {
      Files.write(partial, contents);
      try {
        Files.move(partial, file, StandardCopyOption.ATOMIC_MOVE);
      } catch (AtomicMoveNotSupportedException e) {
        Files.move(partial, file, StandardCopyOption.REPLACE_EXISTING);
      }
    } finally {
      Files.deleteIfExists(partial);
    }
  }

  /** Compares every byte: 6 MB take milliseconds, a damaged model takes an evening. */
  private static boolean holds(Path file, byte[] contents) throws IOException {
    return Files.isRegularFile(file)
        && Files.size(file) == contents.length
        && Arrays.equals(Files.readAllBytes(file), contents);
  }

  private static byte[] resource(String name) throws IOException {
    @Nullable InputStream stream = ModelCache.class.getResourceAsStream(name);
    if (stream == null) {
      throw new IOException("The jar of the bundled model lacks its resource " + name + ".");
    }
    try (stream) {
      return stream.readAllBytes();
    }
  }

  private static String hash(byte[]... parts) {
    try {
      MessageDigest digest = MessageDigest.getInstance("SHA-256");
      for (byte[] part : parts) {
        digest.update(part);
      }
      return HexFormat.of().formatHex(digest.digest(), 0, HASH_BYTES);
    } catch (NoSuchAlgorithmException e) {
      throw new AssertionError("every JDK has SHA-256", e);
    }
  }
}
