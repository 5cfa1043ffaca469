package org.parallelcomp.backend.cpu.vector.simd;

import static java.nio.ByteOrder.LITTLE_ENDIAN;
import static jdk.incubator.vector.VectorOperators.B2F;
import static jdk.incubator.vector.VectorOperators.GE;
import static jdk.incubator.vector.VectorOperators.I2F;
import static jdk.incubator.vector.VectorOperators.LSHL;
import static jdk.incubator.vector.VectorOperators.LSHR;
import static jdk.incubator.vector.VectorOperators.S2I;
import static jdk.incubator.vector.VectorOperators.ZERO_EXTEND_B2I;
import static jdk.incubator.vector.VectorOperators.ZERO_EXTEND_S2I;
import static org.parallelcomp.backend.cpu.vector.simd.Species.BYTE;
import static org.parallelcomp.backend.cpu.vector.simd.Species.BYTES;
import static org.parallelcomp.backend.cpu.vector.simd.Species.FLOAT;
import static org.parallelcomp.backend.cpu.vector.simd.Species.INT;
import static org.parallelcomp.backend.cpu.vector.simd.Species.LANES;
import static org.parallelcomp.backend.cpu.vector.simd.Species.SHORT;
import static org.parallelcomp.backend.cpu.vector.simd.Species.TWO_PARTS;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import jdk.incubator.vector.ByteVector;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.ShortVector;
import jdk.incubator.vector.VectorMask;
import org.parallelcomp.api.tensor.DType;

/**
 * Turns stored weights of any {@link DType} but I32 into floats. A row is a whole number of blocks,
 * one after the other, little-endian:
 *
 * <pre>
 * Q8_0  [f16 d][i8 q x 32]                                value = d q
 * Q4_0  [f16 d][u4 q x 32]                                value = d (q - 8); low nibbles: 0 to 15
 * Q4_1  [f16 d][f16 m][u4 q x 32]                         value = d q + m
 * Q5_0  [f16 d][u32 fifth bits][u4 x 32]                  value = d (q - 16)
 * Q5_1  [f16 d][f16 m][u32 fifth bits][u4 x 32]           value = d q + m
 * Q4_K  [f16 d][f16 dmin][8 x (u6 scale, u6 min)][u4 q x 256]
 * Q5_K  [f16 d][f16 dmin][8 x (u6 scale, u6 min)][fifth bits, 32 B][u4 x 256]
 * Q6_K  [low nibbles, 128 B][two high bits, 64 B][i8 scale x 16][f16 d]   value = d s (q - 32)
 * </pre>
 */
public final class Dequantize {

  static final ValueLayout.OfShort LE_SHORT =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  static final ValueLayout.OfInt LE_INT =
      ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  static final ValueLayout.OfLong LE_LONG =
      ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  static final ValueLayout.OfFloat LE_FLOAT =
      ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  /** 0, 1, 2, … : how far the fifth bits of Q5_0 and Q5_1 must be shifted, lane by lane. */
  private static final IntVector LANE_NUMBERS = IntVector.zero(INT).addIndex(1);

  private Dequantize() {}

  /** Writes one row, {@code matrix.columns()} floats, to {@code to[at…]}. */
  public static void row(WeightMatrix matrix, int row, float[] to, int at) {
    blocks(matrix.format(), matrix.segment(), matrix.rowOffset(row), matrix.columns(), to, at);
  }

  /**
   * Writes {@code elements} floats to {@code to[at…]}.
   *
   * @param from byte offset of a block in {@code segment}
   * @param elements a whole number of blocks
   */
  public static void blocks(
      DType format, MemorySegment segment, long from, int elements, float[] to, int at) {
    int blocks = elements / format.blockElements();
    switch (format) {
      case F32 -> MemorySegment.copy(segment, LE_FLOAT, from, to, at, elements);
      case F16 -> f16(segment, from, elements, to, at);
      case BF16 -> bf16(segment, from, elements, to, at);
      case Q8_0 -> q8x0(segment, from, blocks, to, at);
      case Q4_0 -> q4x0(segment, from, blocks, to, at);
      case Q4_1 -> q4x1(segment, from, blocks, to, at);
      case Q5_0 -> q5x0(segment, from, blocks, to, at);
      case Q5_1 -> q5x1(segment, from, blocks, to, at);
      case Q4_K -> q4k(segment, from, blocks, to, at);
      case Q5_K -> q5k(segment, from, blocks, to, at);
      case Q6_K -> q6k(segment, from, blocks, to, at);
      case I32 -> throw new IllegalArgumentException("weights are not integers");
    }
  }

  /** The binary16 at a byte offset. */
  static float half(MemorySegment segment, long offset) {
    return Float.float16ToFloat(segment.get(LE_SHORT, offset));
  }

  /**
   * Widens binary16 to binary32, lane by lane. The Vector API has no such conversion.
   *
   * <p>Shifting exponent and fraction into place leaves a float that is too small by 2^112 (the
   * difference of the exponent biases, 127 - 15); one multiplication repairs normal and subnormal
   * numbers alike. Infinity and NaN come out as 2^16 and above, and become infinity: no weight is.
   */
  static FloatVector widenHalf(ShortVector halves) {
    IntVector signExtended = (IntVector) halves.convertShape(S2I, INT, 0);
    // The mask keeps the sign, which the extension has copied above the exponent, only at the top.
    FloatVector small = signExtended.lanewise(LSHL, 13).and(0x8FFF_E000).reinterpretAsFloats();
    FloatVector finite = small.mul(0x1p112f);
    VectorMask<Float> special = finite.abs().compare(GE, 0x1p16f);
    return finite.add(finite.mul(Float.POSITIVE_INFINITY), special);
  }

  private static void f16(MemorySegment segment, long from, int elements, float[] to, int at) {
    int i = 0;
    for (; i <= elements - LANES; i += LANES) {
      widenHalf(ShortVector.fromMemorySegment(SHORT, segment, from + 2L * i, LITTLE_ENDIAN))
          .intoArray(to, at + i);
    }
    for (; i < elements; i++) {
      to[at + i] = half(segment, from + 2L * i);
    }
  }

  private static void bf16(MemorySegment segment, long from, int elements, float[] to, int at) {
    int i = 0;
    for (; i <= elements - LANES; i += LANES) {
      ShortVector upper =
          ShortVector.fromMemorySegment(SHORT, segment, from + 2L * i, LITTLE_ENDIAN);
      ((IntVector) upper.convertShape(ZERO_EXTEND_S2I, INT, 0))
          .lanewise(LSHL, 16)
          .reinterpretAsFloats()
          .intoArray(to, at + i);
    }
    for (; i < elements; i++) {
      to[at + i] = Float.intBitsToFloat(segment.get(LE_SHORT, from + 2L * i) << 16);
    }
  }

  private static void q8x0(MemorySegment segment, long from, int blocks, float[] to, int at) {
    for (int block = 0; block < blocks; block++) {
      long in = from + 34L * block;
      int out = at + 32 * block;
      float d = half(segment, in);
      for (int i = 0; i < 32; i += BYTES) {
        ByteVector q = ByteVector.fromMemorySegment(BYTE, segment, in + 2 + i, LITTLE_ENDIAN);
        ((FloatVector) q.convertShape(B2F, FLOAT, 0)).mul(d).intoArray(to, out + i);
        if (TWO_PARTS) {
          ((FloatVector) q.convertShape(B2F, FLOAT, 1)).mul(d).intoArray(to, out + i + LANES);
        }
      }
    }
  }

  private static void q4x0(MemorySegment segment, long from, int blocks, float[] to, int at) {
    for (int block = 0; block < blocks; block++) {
      long in = from + 18L * block;
      float d = half(segment, in);
      // d q - 8 d is exact where d (q - 8) is: d has 11 significant bits and q four.
      nibbles(segment, in + 2, 16, d, -8 * d, to, at + 32 * block);
    }
  }

  private static void q4x1(MemorySegment segment, long from, int blocks, float[] to, int at) {
    for (int block = 0; block < blocks; block++) {
      long in = from + 20L * block;
      nibbles(segment, in + 4, 16, half(segment, in), half(segment, in + 2), to, at + 32 * block);
    }
  }

  /**
   * Unpacks {@code bytes} bytes: low nibbles to {@code to[at…]}, high nibbles to {@code
   * to[at+bytes…]}, each as {@code d q + m}.
   */
  private static void nibbles(
      MemorySegment segment, long from, int bytes, float d, float m, float[] to, int at) {
    FloatVector scale = FloatVector.broadcast(FLOAT, d);
    FloatVector min = FloatVector.broadcast(FLOAT, m);
    for (int i = 0; i < bytes; i += BYTES) {
      ByteVector packed = ByteVector.fromMemorySegment(BYTE, segment, from + i, LITTLE_ENDIAN);
      IntVector q = (IntVector) packed.convertShape(ZERO_EXTEND_B2I, INT, 0);
      toFloat(q.and(15)).fma(scale, min).intoArray(to, at + i);
      toFloat(q.lanewise(LSHR, 4)).fma(scale, min).intoArray(to, at + bytes + i);
      if (TWO_PARTS) {
        q = (IntVector) packed.convertShape(ZERO_EXTEND_B2I, INT, 1);
        toFloat(q.and(15)).fma(scale, min).intoArray(to, at + i + LANES);
        toFloat(q.lanewise(LSHR, 4)).fma(scale, min).intoArray(to, at + bytes + i + LANES);
      }
    }
  }

  private static FloatVector toFloat(IntVector q) {
    return (FloatVector) q.convert(I2F, 0);
  }

  private static void q5x0(MemorySegment segment, long from, int blocks, float[] to, int at) {
    for (int block = 0; block < blocks; block++) {
      long in = from + 22L * block;
      float d = half(segment, in);
      fiveBits(segment, in + 6, segment.get(LE_INT, in + 2), d, -16 * d, to, at + 32 * block);
    }
  }

  private static void q5x1(MemorySegment segment, long from, int blocks, float[] to, int at) {
    for (int block = 0; block < blocks; block++) {
      long in = from + 24L * block;
      float d = half(segment, in);
      float m = half(segment, in + 2);
      fiveBits(segment, in + 8, segment.get(LE_INT, in + 4), d, m, to, at + 32 * block);
    }
  }

  /** As {@link #nibbles} for 16 bytes, with bit i of {@code fifth} on top of element i. */
  private static void fiveBits(
      MemorySegment segment, long from, int fifth, float d, float m, float[] to, int at) {
    FloatVector scale = FloatVector.broadcast(FLOAT, d);
    FloatVector min = FloatVector.broadcast(FLOAT, m);
    for (int i = 0; i < 16; i += BYTES) {
      ByteVector packed = ByteVector.fromMemorySegment(BYTE, segment, from + i, LITTLE_ENDIAN);
      IntVector q = (IntVector) packed.convertShape(ZERO_EXTEND_B2I, INT, 0);
      withFifth(q.and(15), fifth >>> i).fma(scale, min).intoArray(to, at + i);
      withFifth(q.lanewise(LSHR, 4), fifth >>> 16 + i).fma(scale, min).intoArray(to, at + 16 + i);
      if (TWO_PARTS) {
        int j = i + LANES;
        q = (IntVector) packed.convertShape(ZERO_EXTEND_B2I, INT, 1);
        withFifth(q.and(15), fifth >>> j).fma(scale, min).intoArray(to, at + j);
        withFifth(q.lanewise(LSHR, 4), fifth >>> 16 + j).fma(scale, min).intoArray(to, at + 16 + j);
      }
    }
  }

  private static FloatVector withFifth(IntVector low, int fifth) {
    IntVector bit = IntVector.broadcast(INT, fifth).lanewise(LSHR, LANE_NUMBERS).and(1);
    return toFloat(low.or(bit.lanewise(LSHL, 4)));
  }

  private static void q4k(MemorySegment segment, long from, int blocks, float[] to, int at) {
    for (int block = 0; block < blocks; block++) {
      long in = from + 144L * block;
      float d = half(segment, in);
      float dmin = half(segment, in + 2);
      for (int pair = 0; pair < 4; pair++) {
        int group = 2 * pair;
        kPair(
            segment,
            in + 16 + 32 * pair,
            -1,
            0,
            d * kScale(segment, in + 4, group),
            -dmin * kMin(segment, in + 4, group),
            d * kScale(segment, in + 4, group + 1),
            -dmin * kMin(segment, in + 4, group + 1),
            to,
            at + 256 * block + 64 * pair);
      }
    }
  }

  private static void q5k(MemorySegment segment, long from, int blocks, float[] to, int at) {
    for (int block = 0; block < blocks; block++) {
      long in = from + 176L * block;
      float d = half(segment, in);
      float dmin = half(segment, in + 2);
      for (int pair = 0; pair < 4; pair++) {
        int group = 2 * pair;
        kPair(
            segment,
            in + 48 + 32 * pair,
            in + 16,
            group,
            d * kScale(segment, in + 4, group),
            -dmin * kMin(segment, in + 4, group),
            d * kScale(segment, in + 4, group + 1),
            -dmin * kMin(segment, in + 4, group + 1),
            to,
            at + 256 * block + 64 * pair);
      }
    }
  }

  /**
   * Two groups of 32 of a K block: low nibbles of 32 bytes, then high nibbles, each {@code d q +
   * m}.
   *
   * @param fifths byte offset of the 32 bytes of fifth bits, or -1 if there are none
   * @param bit which bit of those belongs to the first group; the next belongs to the second
   */
  private static void kPair(
      MemorySegment segment,
      long from,
      long fifths,
      int bit,
      float d0,
      float m0,
      float d1,
      float m1,
      float[] to,
      int at) {
    for (int i = 0; i < 32; i += BYTES) {
      ByteVector packed = ByteVector.fromMemorySegment(BYTE, segment, from + i, LITTLE_ENDIAN);
      ByteVector high =
          fifths < 0
              ? ByteVector.zero(BYTE)
              : ByteVector.fromMemorySegment(BYTE, segment, fifths + i, LITTLE_ENDIAN);
      IntVector q = (IntVector) packed.convertShape(ZERO_EXTEND_B2I, INT, 0);
      IntVector h = ((IntVector) high.convertShape(ZERO_EXTEND_B2I, INT, 0)).lanewise(LSHR, bit);
      toFloat(q.and(15).or(h.and(1).lanewise(LSHL, 4))).mul(d0).add(m0).intoArray(to, at + i);
      toFloat(q.lanewise(LSHR, 4).or(h.and(2).lanewise(LSHL, 3)))
          .mul(d1)
          .add(m1)
          .intoArray(to, at + 32 + i);
      if (TWO_PARTS) {
        int j = at + i + LANES;
        q = (IntVector) packed.convertShape(ZERO_EXTEND_B2I, INT, 1);
        h = ((IntVector) high.convertShape(ZERO_EXTEND_B2I, INT, 1)).lanewise(LSHR, bit);
        toFloat(q.and(15).or(h.and(1).lanewise(LSHL, 4))).mul(d0).add(m0).intoArray(to, j);
        toFloat(q.lanewise(LSHR, 4).or(h.and(2).lanewise(LSHL, 3)))
            .mul(d1)
            .add(m1)
            .intoArray(to, j + 32);
      }
    }
  }

  /**
   * The 6-bit scale of a group of 32 in a K block. Twelve bytes hold eight scales and eight minima:
   * bytes 0 to 3 the scales 0 to 3 in their low six bits, bytes 4 to 7 the minima 0 to 3; bytes 8
   * to 11 the low four bits of scale (low nibble) and minimum (high nibble) 4 to 7, whose upper two
   * bits are the top of bytes 0 to 3 and 4 to 7.
   */
  private static int kScale(MemorySegment segment, long scales, int group) {
    return group < 4
        ? unsigned(segment, scales + group) & 63
        : unsigned(segment, scales + group + 4) & 15
            | unsigned(segment, scales + group - 4) >>> 6 << 4;
  }

  /** The 6-bit minimum of a group; see {@link #kScale}. */
  private static int kMin(MemorySegment segment, long scales, int group) {
    return group < 4
        ? unsigned(segment, scales + group + 4) & 63
        : unsigned(segment, scales + group + 4) >>> 4
            | unsigned(segment, scales + group) >>> 6 << 4;
  }

  private static int unsigned(MemorySegment segment, long offset) {
    return segment.get(ValueLayout.JAVA_BYTE, offset) & 0xFF;
  }

  /**
   * Q6_K: each half of 128 elements has 64 bytes of low nibbles and 32 bytes of high bits. Quarter
   * r of a half takes the nibbles of bytes {@code 32 (r mod 2) + i} (low for the first two
   * quarters, else high) and bits 2r, 2r+1 of high byte i; every 16 elements have a signed scale.
   */
  private static void q6k(MemorySegment segment, long from, int blocks, float[] to, int at) {
    for (int block = 0; block < blocks; block++) {
      long in = from + 210L * block;
      float d = half(segment, in + 208);
      for (int half = 0; half < 2; half++) {
        for (int quarter = 0; quarter < 4; quarter++) {
          long low = in + 64 * half + 32 * (quarter & 1);
          long high = in + 128 + 32 * half;
          long scales = in + 192 + 8 * half + 2 * quarter;
          int out = at + 256 * block + 128 * half + 32 * quarter;
          for (int i = 0; i < 32; i += BYTES) {
            float scale = d * segment.get(ValueLayout.JAVA_BYTE, scales + i / 16);
            ByteVector lows = ByteVector.fromMemorySegment(BYTE, segment, low + i, LITTLE_ENDIAN);
            ByteVector highs = ByteVector.fromMemorySegment(BYTE, segment, high + i, LITTLE_ENDIAN);
            sixBits(
                    (IntVector) lows.convertShape(ZERO_EXTEND_B2I, INT, 0),
                    (IntVector) highs.convertShape(ZERO_EXTEND_B2I, INT, 0),
                    quarter)
                .mul(scale)
                .intoArray(to, out + i);
            if (TWO_PARTS) {
              sixBits(
                      (IntVector) lows.convertShape(ZERO_EXTEND_B2I, INT, 1),
                      (IntVector) highs.convertShape(ZERO_EXTEND_B2I, INT, 1),
                      quarter)
                  .mul(scale)
                  .intoArray(to, out + i + LANES);
            }
          }
        }
      }
    }
  }

  private static FloatVector sixBits(IntVector low, IntVector high, int quarter) {
    IntVector nibble = low.lanewise(LSHR, quarter >> 1 << 2).and(15);
    IntVector top = high.lanewise(LSHR, 2 * quarter).and(3).lanewise(LSHL, 4);
    return toFloat(nibble.or(top).sub(32));
  }
}
