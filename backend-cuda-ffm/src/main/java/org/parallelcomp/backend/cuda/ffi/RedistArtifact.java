package org.parallelcomp.backend.cuda.ffi;

import java.io.IOException;
import java.io.InputStream;
import java.net.JarURLConnection;
import java.net.URL;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import java.util.Optional;
import java.util.jar.JarEntry;
import java.util.jar.JarFile;

/**
 * NVIDIA's libraries as {@code org.bytedeco:cuda} packs them for Maven: files in a jar, which
 * become files in the cache folder when they are first asked for. {@code
 * cuda:12.6-9.5-1.5.11:linux-x86_64-redist} (2 GB) has all that is needed; {@code cuda-redist},
 * which came after it, has NVRTC in the same folder, but neither cuBLASLt nor cuDNN.
 */
final class RedistArtifact {
  static final String FOLDER = "org/bytedeco/cuda/linux-x86_64/";

  private final ClassLoader path;
  private final Path cache;

  /**
   * @param path where the jar is looked for
   * @param cache the folder for what is unpacked
   */
  RedistArtifact(ClassLoader path, Path cache) {
    this.path = path;
    this.cache = cache;
  }

  /**
   * Returns the file of a library with what it opens by itself beside it, or empty if no jar on the
   * path holds it.
   */
  Optional<Path> find(Library library) throws IOException {
    for (String name : library.fileNames()) {
      URL resource = path.getResource(FOLDER + name);
      if (resource != null && resource.openConnection() instanceof JarURLConnection connection) {
        return Optional.of(unpack(connection, name));
      }
    }
    return Optional.empty();
  }

  /** Unpacks a library and every file of the same family, as in libnvrtc-builtins. */
  private Path unpack(JarURLConnection connection, String name) throws IOException {
    connection.setUseCaches(false);
    String family = FOLDER + name.substring(0, name.indexOf(".so"));
    try (JarFile jar = connection.getJarFile()) {
      String jarName = String.valueOf(Path.of(jar.getName()).getFileName());
      Path folder = cache.resolve(jarName + "-" + Files.size(Path.of(jar.getName())));
      Files.createDirectories(folder);
      List<JarEntry> entries =
          jar.stream()
              .filter(entry -> entry.getName().startsWith(family) && !entry.isDirectory())
              .toList();
      for (JarEntry entry : entries) {
        Path file = folder.resolve(entry.getName().substring(FOLDER.length()));
        if (!Files.exists(file) || Files.size(file) != entry.getSize()) {
          Path part = Files.createTempFile(folder, "unpacking", ".part");
          try (InputStream in = jar.getInputStream(entry)) {
            Files.copy(in, part, StandardCopyOption.REPLACE_EXISTING);
          }
          Files.move(part, file, StandardCopyOption.REPLACE_EXISTING);
        }
      }
      return folder.resolve(name);
    }
  }
}
