package org.parallelcomp.conformance;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.random.RandomGenerator;
import org.parallelcomp.api.tensor.DType;

/** Random weights as they stand in a file: any bits are valid quants, only scales must be tame. */
final class WeightBytes {
  private WeightBytes() {}

  static byte[] random(DType dtype, int elements, RandomGenerator random) {
    byte[] bytes = new byte[Math.toIntExact(dtype.bytes(elements))];
    random.nextBytes(bytes);
    ByteBuffer buffer = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    for (int at = 0; at < bytes.length; at += dtype.blockBytes()) {
      switch (dtype) {
        case F32 -> buffer.putFloat(at, (float) random.nextGaussian());
        case F16 -> buffer.putShort(at, Float.floatToFloat16((float) random.nextGaussian()));
        case BF16 ->
            buffer.putShort(
                at, (short) (Float.floatToIntBits((float) random.nextGaussian()) >>> 16));
        case Q8_0, Q4_0, Q5_0 -> scale(buffer, at, random);
        case Q4_1, Q5_1, Q4_K, Q5_K -> {
          scale(buffer, at, random);
          scale(buffer, at + 2, random);
        }
        case Q6_K -> scale(buffer, at + 208, random);
        case I32 -> {
          // Any bits are an integer.
        }
      }
    }
    return bytes;
  }

  private static void scale(ByteBuffer buffer, int at, RandomGenerator random) {
    buffer.putShort(at, Float.floatToFloat16((float) (random.nextGaussian() / 64)));
  }
}
