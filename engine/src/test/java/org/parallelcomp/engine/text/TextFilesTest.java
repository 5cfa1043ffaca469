package org.parallelcomp.engine.text;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.zip.GZIPOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;

class TextFilesTest {
  @TempDir Path folder;

  @Test
  void readsPlainAndPackedText() throws IOException {
    String text = "Grüße \uFFFD 🙂\n".repeat(2000);
    byte[] plain = text.getBytes(StandardCharsets.UTF_8);
    var packed = new ByteArrayOutputStream();
    try (var gzip = new GZIPOutputStream(packed)) {
      gzip.write(plain);
    }
    assertEquals(text, TextFiles.read(file(plain)));
    assertEquals(text, TextFiles.read(file(packed.toByteArray())));
    assertEquals(
        "a", TextFiles.read(file(new byte[] {(byte) 0xef, (byte) 0xbb, (byte) 0xbf, 'a'})));
    byte[] cut = Arrays.copyOf(packed.toByteArray(), packed.size() - 12);
    assertTrue(refusal(file(cut), ErrorCode.INVALID_TEXT).contains("gzip"));
  }

  @Test
  void refusesWhatIsNoText() throws IOException {
    assertTrue(refusal(file(new byte[0]), ErrorCode.INVALID_TEXT).contains("no text"));
    assertTrue(refusal(file(new byte[] {' ', '\n'}), ErrorCode.INVALID_TEXT).contains("no text"));
    assertTrue(
        refusal(file(new byte[] {'a', 'b', 0, 'c'}), ErrorCode.INVALID_TEXT).contains("offset 2"));
    byte[] latin = new byte[20_000];
    Arrays.fill(latin, (byte) 'x');
    latin[12_345] = (byte) 0xe9;
    assertTrue(refusal(file(latin), ErrorCode.INVALID_TEXT).contains("offset 12345"));
    assertTrue(
        refusal(folder.resolve("none.txt"), ErrorCode.FILE_NOT_READABLE).contains("none.txt"));
    assertTrue(refusal(folder, ErrorCode.FILE_NOT_READABLE).contains("folder"));
  }

  private Path file(byte[] bytes) throws IOException {
    return Files.write(folder.resolve("text"), bytes);
  }

  private static String refusal(Path path, ErrorCode code) {
    var refused = assertThrows(InferenceException.class, () -> TextFiles.read(path));
    assertEquals(code, refused.code(), refused.getMessage());
    return refused.getMessage();
  }
}
