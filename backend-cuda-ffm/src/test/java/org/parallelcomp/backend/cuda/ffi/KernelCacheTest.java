package org.parallelcomp.backend.cuda.ffi;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class KernelCacheTest {
  private static final byte[] CUBIN = {1, 2, 3, 4, 5};
  private static final KernelCompiler.Request REQUEST =
      new KernelCompiler.Request(
          "a.cu", "text", Map.of("h.cuh", "header"), "sm_90a", List.of("--std=c++17"));

  @TempDir private Path folder;
  private final List<String> compiled = new ArrayList<>();

  private KernelCache cache(String version) {
    return new KernelCache(
        folder,
        version,
        request -> {
          compiled.add(request.name());
          return CUBIN;
        });
  }

  @Test
  void compilesOnceAndReadsFromThenOn() {
    assertArrayEquals(CUBIN, cache("13.0").cubin(REQUEST));
    assertArrayEquals(CUBIN, cache("13.0").cubin(REQUEST));
    assertEquals(List.of("a.cu"), compiled);
  }

  @Test
  void aDamagedFileIsMadeAgain() throws IOException {
    KernelCache cache = cache("13.0");
    cache.cubin(REQUEST);
    Path file = cache.file(REQUEST);
    byte[] whole = Files.readAllBytes(file);
    for (int damage = 0; damage < 3; damage++) {
      byte[] bytes =
          switch (damage) {
            case 0 -> new byte[0];
            case 1 -> java.util.Arrays.copyOf(whole, whole.length - 1);
            default -> {
              byte[] flipped = whole.clone();
              flipped[flipped.length - 2] ^= 1;
              yield flipped;
            }
          };
      Files.write(file, bytes);
      compiled.clear();
      assertArrayEquals(CUBIN, cache.cubin(REQUEST));
      assertEquals(List.of("a.cu"), compiled, "damage " + damage);
      assertArrayEquals(whole, Files.readAllBytes(file));
    }
  }

  @Test
  void everythingThatTheCodeDependsOnIsInTheName() {
    Set<Path> files = new TreeSet<>();
    files.add(cache("13.0").file(REQUEST));
    files.add(cache("13.1").file(REQUEST));
    files.add(
        cache("13.0")
            .file(
                new KernelCompiler.Request(
                    "a.cu", "text2", REQUEST.headers(), "sm_90a", REQUEST.options())));
    files.add(
        cache("13.0")
            .file(
                new KernelCompiler.Request(
                    "a.cu", "text", Map.of("h.cuh", "other"), "sm_90a", REQUEST.options())));
    files.add(
        cache("13.0")
            .file(
                new KernelCompiler.Request(
                    "a.cu", "text", REQUEST.headers(), "sm_80", REQUEST.options())));
    files.add(
        cache("13.0")
            .file(
                new KernelCompiler.Request(
                    "a.cu", "text", REQUEST.headers(), "sm_90a", List.of("--std=c++17", "-G"))));
    assertEquals(6, files.size(), files.toString());
  }

  @Test
  void withoutAFolderToWriteToItCompilesEachTime() throws IOException {
    Path file = Files.writeString(folder.resolve("file"), "not a folder");
    var cache = new KernelCache(file.resolve("below"), "13.0", request -> CUBIN);
    assertArrayEquals(CUBIN, cache.cubin(REQUEST));
    assertArrayEquals(CUBIN, cache.cubin(REQUEST));
  }

  @Test
  void noHalfWrittenFileStays() throws IOException {
    cache("13.0").cubin(REQUEST);
    try (var files = Files.list(folder)) {
      assertTrue(files.allMatch(file -> file.toString().endsWith(".cubin")));
    }
  }
}
