package org.parallelcomp.backend.onnx;

import java.lang.foreign.MemorySegment;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.backend.host.Rows;

/**
 * Numbers of a model file as floats, after ggml's block layouts. Weights pass here once, when their
 * session is made; embeddings are looked up here.
 */
final class WeightBlocks {
  private WeightBlocks() {}

  /**
   * Unpacks whole blocks.
   *
   * @param from the byte at which the first block starts
   * @param count how many numbers, a multiple of the type's block
   */
  static void unpack(DType dtype, MemorySegment in, long from, int count, float[] out, int at) {
    long byteAt = from;
    for (int i = 0; i < count; i += dtype.blockElements(), byteAt += dtype.blockBytes()) {
      block(dtype, in, byteAt, out, at + i);
    }
  }

  private static void block(DType dtype, MemorySegment in, long from, float[] out, int at) {
    switch (dtype) {
      case F32 -> out[at] = in.get(Rows.FLOAT, from);
      case F16 -> out[at] = half(in, from);
      case BF16 -> out[at] = Float.intBitsToFloat(in.get(Rows.SHORT, from) << 16);
      case Q8_0 -> {
        float scale = half(in, from);
        for (int i = 0; i < 32; i++) {
          out[at + i] = scale * in.get(Rows.BYTE, from + 2 + i);
        }
      }
      case Q4_0 -> nibbles(in, from + 2, half(in, from), -8 * half(in, from), out, at);
      case Q4_1 -> nibbles(in, from + 4, half(in, from), half(in, from + 2), out, at);
      case Q5_0 -> fiveBits(in, from + 2, half(in, from), -16 * half(in, from), out, at);
      case Q5_1 -> fiveBits(in, from + 4, half(in, from), half(in, from + 2), out, at);
      case Q4_K -> superBlock(in, from, false, out, at);
      case Q5_K -> superBlock(in, from, true, out, at);
      case Q6_K -> sixBits(in, from, out, at);
      case I32 ->
          throw new InferenceException(
              ErrorCode.INTERNAL, "A tensor of whole numbers was asked for floats.");
    }
  }

  /** What numbers are made of: {@code scale * q + offset}. */
  record Line(float scale, float offset) {}

  /**
   * Reads 32 numbers of four bits as they are, each to a byte.
   *
   * @param from the byte at which the row starts
   * @param block which 32 numbers of the row
   */
  static Line fourBits(
      DType dtype, MemorySegment in, long from, int block, byte[] numbers, int at) {
    return switch (dtype) {
      case Q4_0 -> {
        long start = from + (long) block * dtype.blockBytes();
        apart(in, start + 2, numbers, at);
        yield new Line(half(in, start), -8 * half(in, start));
      }
      case Q4_1 -> {
        long start = from + (long) block * dtype.blockBytes();
        apart(in, start + 4, numbers, at);
        yield new Line(half(in, start), half(in, start + 2));
      }
      case Q4_K -> {
        long start = from + (long) (block / 8) * dtype.blockBytes();
        int run = block % 8;
        for (int i = 0; i < 32; i++) {
          int packed = in.get(Rows.BYTE, start + 16 + 32 * (run / 2) + i) & 0xFF;
          numbers[at + i] = (byte) (run % 2 == 0 ? packed & 0xF : packed >> 4);
        }
        yield new Line(
            half(in, start) * sixBitScale(in, start + 4, run, 0),
            -half(in, start + 2) * sixBitScale(in, start + 4, run, 4));
      }
      default -> throw new IllegalArgumentException(dtype + " has no blocks of four bits");
    };
  }

  private static void apart(MemorySegment in, long from, byte[] numbers, int at) {
    for (int i = 0; i < 16; i++) {
      int packed = in.get(Rows.BYTE, from + i) & 0xFF;
      numbers[at + i] = (byte) (packed & 0xF);
      numbers[at + 16 + i] = (byte) (packed >> 4);
    }
  }

  /** {@code scale * q + offset}; the low halves of the bytes are the first 16 numbers. */
  private static void nibbles(
      MemorySegment in, long from, float scale, float offset, float[] out, int at) {
    for (int i = 0; i < 16; i++) {
      int packed = in.get(Rows.BYTE, from + i) & 0xFF;
      out[at + i] = scale * (packed & 0xF) + offset;
      out[at + 16 + i] = scale * (packed >> 4) + offset;
    }
  }

  /** As nibbles, with the fifth bits of all numbers in four bytes in front. */
  private static void fiveBits(
      MemorySegment in, long from, float scale, float offset, float[] out, int at) {
    int high = in.get(Rows.INT, from);
    for (int i = 0; i < 16; i++) {
      int packed = in.get(Rows.BYTE, from + 4 + i) & 0xFF;
      out[at + i] = scale * (packed & 0xF | (high >>> i & 1) << 4) + offset;
      out[at + 16 + i] = scale * (packed >> 4 | (high >>> 16 + i & 1) << 4) + offset;
    }
  }

  /** Eight runs of 32 numbers: {@code d * scale_r * q - dmin * min_r}. */
  private static void superBlock(
      MemorySegment in, long from, boolean fifthBits, float[] out, int at) {
    float d = half(in, from);
    float dmin = half(in, from + 2);
    long high = from + 16;
    long nibbles = fifthBits ? high + 32 : high;
    for (int run = 0; run < 8; run++) {
      float scale = d * sixBitScale(in, from + 4, run, 0);
      float min = dmin * sixBitScale(in, from + 4, run, 4);
      for (int i = 0; i < 32; i++) {
        int packed = in.get(Rows.BYTE, nibbles + 32 * (run / 2) + i) & 0xFF;
        int q = run % 2 == 0 ? packed & 0xF : packed >> 4;
        if (fifthBits) {
          q |= (in.get(Rows.BYTE, high + i) >> run & 1) << 4;
        }
        out[at + 32 * run + i] = scale * q - min;
      }
    }
  }

  /**
   * Twelve bytes hold eight scales and eight minima of six bits: those of the first four runs in
   * the lower bits of the first eight bytes, the others split between nibbles and those bytes'
   * tops.
   *
   * @param group 0 for scales, 4 for minima
   */
  private static int sixBitScale(MemorySegment in, long from, int run, int group) {
    if (run < 4) {
      return in.get(Rows.BYTE, from + group + run) & 63;
    }
    int nibbles = in.get(Rows.BYTE, from + 4 + run) & 0xFF;
    int low = group == 0 ? nibbles & 0xF : nibbles >> 4;
    return low | (in.get(Rows.BYTE, from + group + run - 4) & 0xFF) >> 6 << 4;
  }

  /** Two halves of 128 numbers: low four bits, upper two bits, a scale for every 16 numbers. */
  private static void sixBits(MemorySegment in, long from, float[] out, int at) {
    float d = half(in, from + 208);
    for (int i = 0; i < 256; i++) {
      int part = i / 128;
      int quarter = i % 128 / 32;
      int column = i % 32;
      int packed = in.get(Rows.BYTE, from + 64 * part + 32 * (quarter % 2) + column) & 0xFF;
      int low = quarter < 2 ? packed & 0xF : packed >> 4;
      int high = in.get(Rows.BYTE, from + 128 + 32 * part + column) >> 2 * quarter & 3;
      out[at + i] = d * in.get(Rows.BYTE, from + 192 + i / 16) * ((low | high << 4) - 32);
    }
  }

  private static float half(MemorySegment in, long from) {
    return Float.float16ToFloat(in.get(Rows.SHORT, from));
  }
}
