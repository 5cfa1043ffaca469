package org.parallelcomp.models.needle6m;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.InputStream;
import java.io.StringReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.util.Map;
import java.util.Properties;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ModelCacheTest {
  @TempDir Path folder;

  @Test
  void writesModelAndFormUnderAHash() throws IOException {
    Path model = cache().model();

    assertArrayEquals(resource(ModelCache.MODEL), Files.readAllBytes(model));
    assertEquals("GGUF", new String(Files.readAllBytes(model), 0, 4, StandardCharsets.US_ASCII));
    assertTrue(
        model.getParent().toString().matches(".*/user/parallelcomp/needle-6m-[0-9a-f]{12}"),
        model::toString);
    var form = new Properties();
    form.load(new StringReader(Files.readString(model.resolveSibling(ModelCache.FORM))));
    assertEquals(Map.of("question-form", "\n{question}"), form);
    assertEquals(2, filesIn(model.getParent()), "nothing partial stays");
  }

  @Test
  void leavesAnIntactFileAsItIs() throws IOException {
    Path model = cache().model();
    FileTime written = FileTime.fromMillis(1_000_000_000_000L);
    Files.setLastModifiedTime(model, written);

    assertEquals(model, cache().model());
    assertEquals(written, Files.getLastModifiedTime(model));
  }

  @Test
  void replacesADamagedFile() throws IOException {
    Path model = cache().model();
    byte[] damaged = Files.readAllBytes(model);
    damaged[damaged.length / 2] ^= 1;
    Files.write(model, damaged);
    Files.writeString(model.resolveSibling(ModelCache.FORM), "");

    cache().model();

    assertArrayEquals(resource(ModelCache.MODEL), Files.readAllBytes(model));
    assertArrayEquals(
        resource(ModelCache.FORM), Files.readAllBytes(model.resolveSibling(ModelCache.FORM)));
  }

  @Test
  void replacesATruncatedFile() throws IOException {
    Path model = cache().model();
    Files.write(model, new byte[100]);

    assertArrayEquals(resource(ModelCache.MODEL), Files.readAllBytes(cache().model()));
  }

  @Test
  void goesToTheTemporaryFolderWhereTheCacheCannotBeWritten() throws IOException {
    Path notAFolder = Files.writeString(folder.resolve("user"), "a file");

    Path model = new ModelCache(notAFolder, folder.resolve("temporary")).model();

    assertTrue(model.startsWith(folder.resolve("temporary")), model::toString);
    assertArrayEquals(resource(ModelCache.MODEL), Files.readAllBytes(model));
  }

  @Test
  void failsWhereNothingCanBeWritten() throws IOException {
    Path notAFolder = Files.writeString(folder.resolve("user"), "a file");

    var failure =
        assertThrows(IOException.class, () -> new ModelCache(notAFolder, notAFolder).model());
    assertEquals(1, failure.getSuppressed().length);
  }

  @Test
  void knowsWhereCachesAreKept() {
    assertEquals(Path.of("/h/.cache"), ModelCache.userCache(Map.of(), "Linux", "/h"));
    assertEquals(Path.of("/h/Library/Caches"), ModelCache.userCache(Map.of(), "Mac OS X", "/h"));
    assertEquals(
        Path.of("/x"), ModelCache.userCache(Map.of("XDG_CACHE_HOME", "/x"), "Linux", "/h"));
    assertEquals(
        Path.of("/h/.cache"), ModelCache.userCache(Map.of("XDG_CACHE_HOME", "x"), "Linux", "/h"));
    assertEquals(
        Path.of("/local"),
        ModelCache.userCache(Map.of("LOCALAPPDATA", "/local"), "Windows 11", "/h"));
  }

  private ModelCache cache() {
    return new ModelCache(folder.resolve("user"), folder.resolve("temporary"));
  }

  private static byte[] resource(String name) throws IOException {
    try (InputStream stream = ModelCache.class.getResourceAsStream(name)) {
      return stream.readAllBytes();
    }
  }

  private static long filesIn(Path folder) throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.count();
    }
  }
}
