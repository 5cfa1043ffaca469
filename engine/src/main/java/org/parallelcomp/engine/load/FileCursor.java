package org.parallelcomp.engine.load;

import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;

/**
 * Reads little-endian values one after the other through a small window of a file, so that only the
 * bytes that are asked for are read. Every size is checked against what is left of the file before
 * anything is allocated for it.
 */
final class FileCursor {
  private static final int WINDOW_BYTES = 1 << 16;

  private final Path path;
  private final FileChannel channel;
  private final long sizeBytes;
  private final ByteBuffer window =
      ByteBuffer.allocate(WINDOW_BYTES).order(ByteOrder.LITTLE_ENDIAN).limit(0);
  private long windowOffset;

  FileCursor(Path path, FileChannel channel) throws IOException {
    this.path = path;
    this.channel = channel;
    this.sizeBytes = channel.size();
  }

  /** Returns the offset of the next byte. */
  long offset() {
    return windowOffset + window.position();
  }

  long sizeBytes() {
    return sizeBytes;
  }

  long remainingBytes() {
    return sizeBytes - offset();
  }

  byte u8(String what) throws IOException {
    fill(1, what);
    return window.get();
  }

  short i16(String what) throws IOException {
    fill(2, what);
    return window.getShort();
  }

  int i32(String what) throws IOException {
    fill(4, what);
    return window.getInt();
  }

  long i64(String what) throws IOException {
    fill(8, what);
    return window.getLong();
  }

  /**
   * Reads an unsigned 64-bit count of things that take at least so many bytes each.
   *
   * @throws InferenceException if the file has no room for them
   */
  int count(int leastBytesEach, String what) throws IOException {
    long at = offset();
    long count = i64(what);
    if (count < 0 || count > remainingBytes() / leastBytesEach || count > Integer.MAX_VALUE - 8) {
      throw corrupt(
          at,
          what
              + " is "
              + Long.toUnsignedString(count)
              + ", but only "
              + remainingBytes()
              + " bytes follow");
    }
    return (int) count;
  }

  /** Reads a string: its length in bytes as an unsigned 64-bit number, then UTF-8. */
  String string(String what) throws IOException {
    int length = count(1, "the length of " + what);
    long at = offset();
    if (length <= WINDOW_BYTES) {
      fill(length, what);
      int from = window.position();
      window.position(from + length);
      return decode(window.array(), from, length, at, what);
    }
    byte[] bytes = bytes(length, what);
    return decode(bytes, 0, length, at, what);
  }

  /** Reads so many bytes. */
  byte[] bytes(int length, String what) throws IOException {
    if (length > remainingBytes()) {
      throw truncated(offset(), what);
    }
    byte[] bytes = new byte[length];
    ByteBuffer target = ByteBuffer.wrap(bytes);
    long at = offset();
    while (target.hasRemaining()) {
      if (channel.read(target, at + target.position()) < 0) {
        throw new EOFException(what);
      }
    }
    seek(at + length);
    return bytes;
  }

  void seek(long offset) {
    windowOffset = offset;
    window.limit(0);
  }

  InferenceException corrupt(long offset, String problem) {
    return corrupt(path, offset, problem);
  }

  static InferenceException corrupt(Path path, long offset, String problem) {
    return new InferenceException(
        ErrorCode.CORRUPT_FILE,
        "'" + path + "' is damaged at byte " + offset + ": " + problem + ".");
  }

  private InferenceException truncated(long offset, String what) {
    return corrupt(offset, "the file ends inside " + what);
  }

  /** Strict decoding only where the fast one met something malformed. */
  private String decode(byte[] bytes, int from, int length, long at, String what) {
    String text = new String(bytes, from, length, StandardCharsets.UTF_8);
    if (text.indexOf('\uFFFD') >= 0) {
      try {
        StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(bytes, from, length));
      } catch (CharacterCodingException e) {
        throw corrupt(at, what + " is not UTF-8");
      }
    }
    return text;
  }

  /** Makes at least so many bytes available in the window. */
  private void fill(int bytes, String what) throws IOException {
    if (window.remaining() >= bytes) {
      return;
    }
    long at = offset();
    if (bytes > sizeBytes - at) {
      throw truncated(at, what);
    }
    window.compact();
    windowOffset = at;
    while (window.position() < bytes) {
      if (channel.read(window, at + window.position()) < 0) {
        throw new EOFException(what);
      }
    }
    window.flip();
  }
}
