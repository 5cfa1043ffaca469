package org.parallelcomp.backend.onnx.graph;

import java.io.ByteArrayOutputStream;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;

/**
 * One protobuf message on its way to bytes: variable-length integers, four-byte floats, and fields
 * with a length in front. That is all of the format that ONNX needs.
 */
final class Proto {
  private static final int VARINT = 0;
  private static final int LENGTH_DELIMITED = 2;
  private static final int FOUR_BYTES = 5;

  private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();

  Proto integer(int field, long value) {
    tag(field, VARINT);
    varint(value);
    return this;
  }

  Proto number(int field, float value) {
    tag(field, FOUR_BYTES);
    int bits = Float.floatToIntBits(value);
    for (int shift = 0; shift < 32; shift += 8) {
      bytes.write(bits >>> shift);
    }
    return this;
  }

  Proto string(int field, String value) {
    return block(field, value.getBytes(StandardCharsets.UTF_8));
  }

  Proto message(int field, Proto message) {
    return block(field, message.toByteArray());
  }

  Proto block(int field, MemorySegment value) {
    return block(field, value.toArray(ValueLayout.JAVA_BYTE));
  }

  private Proto block(int field, byte[] value) {
    return begin(field, value.length).raw(value);
  }

  /** Writes what stands before a field of so many bytes, which are to follow. */
  Proto begin(int field, long length) {
    tag(field, LENGTH_DELIMITED);
    varint(length);
    return this;
  }

  /** Writes bytes as they are. */
  Proto raw(byte[] value) {
    bytes.writeBytes(value);
    return this;
  }

  byte[] toByteArray() {
    return bytes.toByteArray();
  }

  private void tag(int field, int wireType) {
    varint((long) field << 3 | wireType);
  }

  private void varint(long value) {
    long rest = value;
    while ((rest & ~0x7FL) != 0) {
      bytes.write((int) (rest & 0x7F | 0x80));
      rest >>>= 7;
    }
    bytes.write((int) rest);
  }
}
