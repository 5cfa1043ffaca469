package org.parallelcomp.backend.cpu.vector.simd;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.parallelcomp.api.tensor.DType;

@Tag("kernel")
class DequantizeTest {
  private static final long SEED = 4;

  @ParameterizedTest
  @EnumSource(names = "I32", mode = EnumSource.Mode.EXCLUDE)
  void everyFormatEqualsItsDescription(DType format) {
    Random random = new Random(SEED);
    int columns = format.blockElements() == 1 ? 75 : 3 * format.blockElements();
    byte[] bytes = new byte[(int) (5 * format.bytes(columns)) + 1];
    random.nextBytes(bytes);
    if (format == DType.F32 || format == DType.BF16) {
      // Numbers of ordinary size: the highest byte has most of the exponent.
      int size = format.blockBytes();
      for (int i = size; i < bytes.length; i += size) {
        bytes[i] = (byte) (0x3F | bytes[i] & 0x80);
      }
    } else {
      tameScales(format, bytes);
    }
    // One byte off, since blocks in a file lie anywhere.
    WeightMatrix matrix = new WeightMatrix(MemorySegment.ofArray(bytes), 1, format, 5, columns);
    float[] expected = new float[columns];
    float[] actual = new float[columns];
    for (int row = 0; row < 5; row++) {
      DequantizeReference.row(matrix, row, expected);
      Dequantize.row(matrix, row, actual, 0);
      float greatest = 0;
      for (float x : expected) {
        greatest = Math.max(greatest, Math.abs(x));
      }
      assertTrue(Float.isFinite(greatest) && greatest > 0, "no signal, seed " + SEED);
      assertTrue(Arrays.stream(box(expected)).distinct().count() > 8, "no signal, seed " + SEED);
      for (int i = 0; i < columns; i++) {
        assertEquals(expected[i], actual[i], 1e-6 * greatest, format + " " + i + ", seed " + SEED);
      }
    }
  }

  @Test
  void integersAreNoWeights() {
    MemorySegment bytes = MemorySegment.ofArray(new byte[16]);
    assertThrows(IllegalArgumentException.class, () -> new WeightMatrix(bytes, 0, DType.I32, 2, 2));
  }

  /** Makes every half that is a scale or minimum, or a number, lie between 2^-7 and 2. */
  private static void tameScales(DType format, byte[] bytes) {
    int[] highBytes =
        switch (format) {
          case Q4_1, Q5_1, Q4_K, Q5_K -> new int[] {1, 3};
          case Q6_K -> new int[] {209};
          default -> new int[] {1};
        };
    for (int block = 1; block < bytes.length; block += format.blockBytes()) {
      for (int at : highBytes) {
        int sign = bytes[block + at] & 0x80;
        bytes[block + at] = (byte) (sign | 0x20 + (bytes[block + at] & 0x1F));
      }
    }
  }

  private static Float[] box(float[] numbers) {
    Float[] boxed = new Float[numbers.length];
    Arrays.setAll(boxed, i -> numbers[i]);
    return boxed;
  }
}
