package org.parallelcomp.conformance.reference;

import java.nio.ByteBuffer;
import org.parallelcomp.api.tensor.DType;

/**
 * What the bytes of a file mean, after the GGUF specification and ggml's block layouts. A block of
 * a legacy type (Q8_0 to Q5_1) begins with its scale, and its minimum where it has one; the low
 * halves of its bytes are the first 16 numbers, the high halves the last 16.
 */
final class Decoding {
  private Decoding() {}

  /** Returns the numbers that little-endian bytes hold. */
  static double[] decode(DType dtype, ByteBuffer bytes) {
    int blocks = bytes.remaining() / dtype.blockBytes();
    double[] out = new double[blocks * dtype.blockElements()];
    for (int b = 0; b < blocks; b++) {
      decodeBlock(dtype, bytes, b * dtype.blockBytes(), out, b * dtype.blockElements());
    }
    return out;
  }

  private static void decodeBlock(DType dtype, ByteBuffer in, int from, double[] out, int to) {
    switch (dtype) {
      case F32 -> out[to] = in.getFloat(from);
      case F16 -> out[to] = half(in, from);
      case BF16 -> out[to] = Float.intBitsToFloat(in.getShort(from) << 16);
      case I32 -> out[to] = in.getInt(from);
      case Q8_0 -> {
        for (int i = 0; i < 32; i++) {
          out[to + i] = half(in, from) * in.get(from + 2 + i);
        }
      }
      case Q4_0 -> legacy(in, from + 2, false, half(in, from), -8 * half(in, from), out, to);
      case Q4_1 -> legacy(in, from + 4, false, half(in, from), half(in, from + 2), out, to);
      case Q5_0 -> legacy(in, from + 2, true, half(in, from), -16 * half(in, from), out, to);
      case Q5_1 -> legacy(in, from + 4, true, half(in, from), half(in, from + 2), out, to);
      case Q4_K -> superBlock(in, from, false, out, to);
      case Q5_K -> superBlock(in, from, true, out, to);
      case Q6_K -> sixBits(in, from, out, to);
    }
  }

  /** {@code scale * q + offset}, with a fifth bit of each number in front of the nibbles or not. */
  private static void legacy(
      ByteBuffer in, int at, boolean fifthBits, double scale, double offset, double[] out, int to) {
    int high = fifthBits ? in.getInt(at) : 0;
    int nibbles = fifthBits ? at + 4 : at;
    for (int i = 0; i < 32; i++) {
      int packed = in.get(nibbles + i % 16) & 0xFF;
      int q = (i < 16 ? packed & 0xF : packed >> 4) | ((high >>> i) & 1) << 4;
      out[to + i] = scale * q + offset;
    }
  }

  /** Eight runs of 32 numbers: {@code d * scale_r * q - dmin * min_r}. */
  private static void superBlock(ByteBuffer in, int from, boolean fifthBits, double[] out, int to) {
    double d = half(in, from);
    double dmin = half(in, from + 2);
    int high = from + 16;
    int nibbles = fifthBits ? high + 32 : high;
    for (int run = 0; run < 8; run++) {
      double scale = d * sixBitScale(in, from + 4, run, 0);
      double min = dmin * sixBitScale(in, from + 4, run, 4);
      for (int i = 0; i < 32; i++) {
        int packed = in.get(nibbles + 32 * (run / 2) + i) & 0xFF;
        int q = run % 2 == 0 ? packed & 0xF : packed >> 4;
        if (fifthBits) {
          q |= (in.get(high + i) >> run & 1) << 4;
        }
        out[to + 32 * run + i] = scale * q - min;
      }
    }
  }

  /**
   * The 12 bytes hold eight scales and eight minima of six bits: those of the first four runs in
   * the lower bits of the first eight bytes, the others split between nibbles and those bytes'
   * tops.
   *
   * @param group 0 for scales, 4 for minima
   */
  private static int sixBitScale(ByteBuffer in, int at, int run, int group) {
    if (run < 4) {
      return in.get(at + group + run) & 63;
    }
    int nibbles = in.get(at + 4 + run) & 0xFF;
    int low = group == 0 ? nibbles & 0xF : nibbles >> 4;
    return low | (in.get(at + group + run - 4) & 0xFF) >> 6 << 4;
  }

  /** Two halves of 128 numbers: low four bits, upper two bits, a scale for every 16 numbers. */
  private static void sixBits(ByteBuffer in, int from, double[] out, int to) {
    double d = half(in, from + 208);
    for (int i = 0; i < 256; i++) {
      int part = i / 128;
      int quarter = i % 128 / 32;
      int column = i % 32;
      int packed = in.get(from + 64 * part + 32 * (quarter % 2) + column) & 0xFF;
      int low = quarter < 2 ? packed & 0xF : packed >> 4;
      int high = in.get(from + 128 + 32 * part + column) >> 2 * quarter & 3;
      out[to + i] = d * in.get(from + 192 + i / 16) * ((low | high << 4) - 32);
    }
  }

  private static double half(ByteBuffer in, int at) {
    return Float.float16ToFloat(in.getShort(at));
  }
}
