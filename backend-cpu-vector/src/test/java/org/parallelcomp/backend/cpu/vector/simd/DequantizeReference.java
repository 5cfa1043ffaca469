package org.parallelcomp.backend.cpu.vector.simd;

import static org.parallelcomp.backend.cpu.vector.simd.Dequantize.half;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.parallelcomp.api.tensor.DType;

/**
 * The block layouts once more, element by element and without vectors, for tests to compare with.
 */
final class DequantizeReference {

  private DequantizeReference() {}

  static void row(WeightMatrix matrix, int row, float[] to) {
    for (int i = 0; i < matrix.columns(); i++) {
      int elements = matrix.format().blockElements();
      long block = matrix.rowOffset(row) + (long) (i / elements) * matrix.format().blockBytes();
      to[i] = element(matrix.format(), matrix.segment(), block, i % elements);
    }
  }

  private static float element(DType format, MemorySegment s, long at, int i) {
    return switch (format) {
      case F32 -> s.get(Dequantize.LE_FLOAT, at);
      case F16 -> half(s, at);
      case BF16 -> Float.intBitsToFloat(s.get(Dequantize.LE_SHORT, at) << 16);
      case Q8_0 -> half(s, at) * s.get(ValueLayout.JAVA_BYTE, at + 2 + i);
      case Q4_0 -> half(s, at) * (nibble(s, at + 2, i) - 8);
      case Q4_1 -> half(s, at) * nibble(s, at + 4, i) + half(s, at + 2);
      case Q5_0 -> half(s, at) * (nibble(s, at + 6, i) + 16 * bit(s, at + 2, i) - 16);
      case Q5_1 -> half(s, at) * (nibble(s, at + 8, i) + 16 * bit(s, at + 4, i)) + half(s, at + 2);
      case Q4_K -> k(s, at, i, kNibble(s, at + 16, i));
      case Q5_K ->
          k(s, at, i, kNibble(s, at + 48, i) + 16 * (u8(s, at + 16 + i % 32) >> i / 32 & 1));
      case Q6_K -> {
        int half = i / 128;
        int quarter = i / 32 % 4;
        int low = u8(s, at + 64 * half + 32 * (quarter % 2) + i % 32) >> 4 * (quarter / 2) & 15;
        int high = u8(s, at + 128 + 32 * half + i % 32) >> 2 * quarter & 3;
        yield half(s, at + 208)
            * s.get(ValueLayout.JAVA_BYTE, at + 192 + i / 16)
            * (low + 16 * high - 32);
      }
      case I32 -> throw new IllegalArgumentException("weights are not integers");
    };
  }

  private static float k(MemorySegment s, long at, int i, int q) {
    int g = i / 32;
    long sc = at + 4;
    int scale = g < 4 ? u8(s, sc + g) & 63 : u8(s, sc + g + 4) & 15 | u8(s, sc + g - 4) >> 6 << 4;
    int min = g < 4 ? u8(s, sc + g + 4) & 63 : u8(s, sc + g + 4) >> 4 | u8(s, sc + g) >> 6 << 4;
    return half(s, at) * scale * q - half(s, at + 2) * min;
  }

  private static int kNibble(MemorySegment s, long at, int i) {
    return u8(s, at + i / 64 * 32 + i % 32) >> 4 * (i / 32 % 2) & 15;
  }

  private static int nibble(MemorySegment s, long at, int i) {
    return u8(s, at + i % 16) >> 4 * (i / 16) & 15;
  }

  private static int bit(MemorySegment s, long at, int i) {
    return s.get(Dequantize.LE_INT, at) >>> i & 1;
  }

  private static int u8(MemorySegment s, long at) {
    return s.get(ValueLayout.JAVA_BYTE, at) & 0xFF;
  }
}
