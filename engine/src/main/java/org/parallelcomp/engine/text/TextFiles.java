package org.parallelcomp.engine.text;

import java.io.BufferedInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CharsetDecoder;
import java.nio.charset.CoderResult;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.zip.GZIPInputStream;
import java.util.zip.ZipException;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;

/** Reads texts. */
public final class TextFiles {
  private static final int GZIP_MAGIC = 0x8b1f;

  private TextFiles() {}

  /**
   * Reads a UTF-8 text, packed with gzip or not. A byte-order mark at the beginning is left out.
   *
   * @throws InferenceException FILE_NOT_READABLE, or INVALID_TEXT if the file is empty, binary or
   *     not UTF-8 (with the offset of the first bad byte)
   */
  public static String read(Path path) {
    byte[] bytes;
    try (InputStream in = new BufferedInputStream(Files.newInputStream(path))) {
      in.mark(2);
      boolean packed = (in.read() | in.read() << 8) == GZIP_MAGIC;
      in.reset();
      bytes = packed ? new GZIPInputStream(in, 1 << 16).readAllBytes() : in.readAllBytes();
    } catch (NoSuchFileException e) {
      throw new InferenceException(
          ErrorCode.FILE_NOT_READABLE, "There is no text file '" + path + "'.", e);
    } catch (ZipException | EOFException e) {
      throw new InferenceException(
          ErrorCode.INVALID_TEXT,
          "'" + path + "' is a damaged gzip file: " + e.getMessage() + ".",
          e);
    } catch (IOException e) {
      throw new InferenceException(
          ErrorCode.FILE_NOT_READABLE,
          Files.isDirectory(path)
              ? "'" + path + "' is a folder; give a text file."
              : "'" + path + "' cannot be read: " + e.getMessage() + ".",
          e);
    }
    return decode(path, bytes);
  }

  private static String decode(Path path, byte[] bytes) {
    for (int i = 0; i < bytes.length; i++) {
      if (bytes[i] == 0) {
        throw new InferenceException(
            ErrorCode.INVALID_TEXT,
            "'" + path + "' is no text: it holds a zero byte at offset " + i + ".");
      }
    }
    String text = new String(bytes, StandardCharsets.UTF_8);
    if (text.indexOf('\uFFFD') >= 0) {
      checkStrictly(path, bytes);
    }
    if (text.startsWith("\uFEFF")) {
      text = text.substring(1);
    }
    if (text.isBlank()) {
      throw new InferenceException(ErrorCode.INVALID_TEXT, "'" + path + "' holds no text.");
    }
    return text;
  }

  private static void checkStrictly(Path path, byte[] bytes) {
    CharsetDecoder strict = StandardCharsets.UTF_8.newDecoder();
    ByteBuffer in = ByteBuffer.wrap(bytes);
    CharBuffer out = CharBuffer.allocate(1 << 13);
    CoderResult result;
    do {
      out.clear();
      result = strict.decode(in, out, true);
    } while (result.isOverflow());
    if (result.isError()) {
      throw new InferenceException(
          ErrorCode.INVALID_TEXT,
          "'" + path + "' is not UTF-8: the byte at offset " + in.position() + " is invalid.");
    }
  }
}
