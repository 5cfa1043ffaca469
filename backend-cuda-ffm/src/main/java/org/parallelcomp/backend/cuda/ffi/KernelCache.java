package org.parallelcomp.backend.cuda.ffi;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.TreeMap;
import java.util.function.Function;

/**
 * Compiled kernels on disk. A file's name is the hash of everything that the machine code depends
 * on: source, headers, options, architecture and the compiler's version. A file begins with the
 * hash of what follows, so one that was damaged is seen, and made again.
 */
public final class KernelCache {
  private static final System.Logger LOG = System.getLogger(KernelCache.class.getName());

  private static final int HASH_BYTES = 32;

  private final Path folder;
  private final String compilerVersion;
  private final Function<KernelCompiler.Request, byte[]> compiler;

  /**
   * @param folder where the files lie; created when the first is written
   * @param compilerVersion of NVRTC
   * @param compiler what makes a file that is not there
   */
  KernelCache(
      Path folder, String compilerVersion, Function<KernelCompiler.Request, byte[]> compiler) {
    this.folder = folder;
    this.compilerVersion = compilerVersion;
    this.compiler = compiler;
  }

  /** Returns the cache of this user, before the compiler that was loaded. */
  public static KernelCache ofProcess() {
    return new KernelCache(
        CacheFolder.ofProcess().resolve("kernels"),
        Library.NVRTC.version(),
        KernelCompiler::compile);
  }

  /** Returns the machine code of a source, compiled where no sound file of it is there. */
  public byte[] cubin(KernelCompiler.Request request) {
    Path file = file(request);
    byte[] content = read(file);
    if (content.length > HASH_BYTES) {
      byte[] cubin = Arrays.copyOfRange(content, HASH_BYTES, content.length);
      if (Arrays.equals(sha256().digest(cubin), Arrays.copyOf(content, HASH_BYTES))) {
        return cubin;
      }
    }
    if (content.length > 0) {
      LOG.log(System.Logger.Level.WARNING, "The compiled kernel {0} is damaged; made again.", file);
    }
    byte[] cubin = compiler.apply(request);
    write(file, cubin);
    return cubin;
  }

  /** Returns the file of a request. */
  Path file(KernelCompiler.Request request) {
    MessageDigest digest = sha256();
    add(digest, compilerVersion);
    add(digest, request.name());
    add(digest, request.text());
    request.allOptions().forEach(option -> add(digest, option));
    new TreeMap<>(request.headers())
        .forEach(
            (name, text) -> {
              add(digest, name);
              add(digest, text);
            });
    return folder.resolve(
        request.name()
            + "-"
            + request.architecture()
            + "-"
            + HexFormat.of().formatHex(digest.digest())
            + ".cubin");
  }

  /** Adds a text with its length, so that no two lists of texts look alike. */
  private static void add(MessageDigest digest, String text) {
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    digest.update((bytes.length + ":").getBytes(StandardCharsets.UTF_8));
    digest.update(bytes);
  }

  private static byte[] read(Path file) {
    try {
      return Files.exists(file) ? Files.readAllBytes(file) : new byte[0];
    } catch (IOException e) {
      LOG.log(System.Logger.Level.WARNING, "The compiled kernel " + file + " is not readable.", e);
      return new byte[0];
    }
  }

  /** Writes a file whole or not at all. Without a cache the next start takes longer, no more. */
  private void write(Path file, byte[] cubin) {
    try {
      Files.createDirectories(folder);
      Path part = Files.createTempFile(folder, "compiling", ".part");
      byte[] content = Arrays.copyOf(sha256().digest(cubin), HASH_BYTES + cubin.length);
      System.arraycopy(cubin, 0, content, HASH_BYTES, cubin.length);
      Files.write(part, content);
      Files.move(part, file, StandardCopyOption.REPLACE_EXISTING);
    } catch (IOException e) {
      LOG.log(System.Logger.Level.WARNING, "A compiled kernel cannot be kept in " + folder, e);
    }
  }

  private static MessageDigest sha256() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new AssertionError("every Java has SHA-256", e);
    }
  }
}
