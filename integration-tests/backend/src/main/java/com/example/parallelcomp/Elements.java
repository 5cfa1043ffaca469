package com.example.parallelcomp;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.tensor.DType;

/**
 * What the bytes of a tensor mean. Model files are little-endian and give no alignment; tensors of
 * our own are written alike. A double holds every number of every type exactly.
 */
final class Elements {
  private static final ValueLayout.OfFloat FLOAT =
      ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfInt INT =
      ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfShort SHORT =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  private Elements() {}

  static double read(MemorySegment bytes, DType dtype, long element) {
    return switch (dtype) {
      case F32 -> bytes.get(FLOAT, 4 * element);
      case I32 -> bytes.get(INT, 4 * element);
      case F16 -> half(bytes, 2 * element);
      case BF16 -> Float.intBitsToFloat(bytes.get(SHORT, 2 * element) << 16);
      case Q8_0 -> {
        long block = element / dtype.blockElements() * dtype.blockBytes();
        long q = block + 2 + element % dtype.blockElements();
        yield half(bytes, block) * bytes.get(ValueLayout.JAVA_BYTE, q);
      }
      default -> throw unsupported(dtype);
    };
  }

  private static double half(MemorySegment bytes, long at) {
    return Float.float16ToFloat(bytes.get(SHORT, at));
  }

  /** Writes the nearest number of the type. */
  static void write(MemorySegment bytes, DType dtype, long element, double number) {
    switch (dtype) {
      case F32 -> bytes.set(FLOAT, 4 * element, (float) number);
      case I32 -> bytes.set(INT, 4 * element, (int) number);
      default -> throw unsupported(dtype);
    }
  }

  static void requireWritable(DType dtype) {
    if (dtype != DType.F32 && dtype != DType.I32) {
      throw unsupported(dtype);
    }
  }

  static boolean isWeightType(DType dtype) {
    return switch (dtype) {
      case F32, F16, BF16, Q8_0 -> true;
      default -> false;
    };
  }

  static void requireWeightType(DType dtype) {
    if (!isWeightType(dtype)) {
      throw unsupported(dtype);
    }
  }

  static InferenceException unsupported(DType dtype) {
    return new InferenceException(
        ErrorCode.UNSUPPORTED_OPERATION, "The scalar backend does not do this with " + dtype + ".");
  }
}
