package org.parallelcomp.backend.onnx;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.parallelcomp.backend.host.Rows;

class HadamardTest {
  private static float[] random(int length) {
    var random = new Random(7);
    float[] row = new float[length];
    for (int i = 0; i < length; i++) {
      row[i] = (float) random.nextGaussian();
    }
    return row;
  }

  @ParameterizedTest
  @ValueSource(ints = {576, 1536, 256, 48, 20, 7})
  void rotatesEachBlockByTheMatrixOfTheGraph(int length) {
    int size = Hadamard.size(length);
    float[] row = random(length);
    double[] wanted = new double[length];
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment matrix = arena.allocate(4L * size * size);
      Hadamard.write(size, matrix);
      for (int i = 0; i < length; i++) {
        int from = i / size * size;
        for (int k = 0; k < size; k++) {
          long at = (long) k * size + i - from;
          wanted[i] += (double) row[from + k] * matrix.getAtIndex(Rows.FLOAT, at);
        }
      }
    }
    float[] got = row.clone();
    Hadamard.rotate(got);
    for (int i = 0; i < length; i++) {
      assertEquals(wanted[i], got[i], 1e-5, "number " + i);
    }
    // Its own inverse, so products of two rotated rows are those of the rows.
    Hadamard.rotate(got);
    for (int i = 0; i < length; i++) {
      assertEquals(row[i], got[i], 1e-5, "number " + i);
    }
  }

  @Test
  void spreadsAnOutlierOverItsBlock() {
    float[] row = new float[128];
    row[5] = 64;
    Hadamard.rotate(row);
    for (int i = 0; i < row.length; i++) {
      assertEquals(i < 64 ? 8 : 0, Math.abs(row[i]), "number " + i);
    }
  }

  @Test
  void takesTheLargestBlocksThatFit() {
    int[] sizes = Arrays.stream(new int[] {576, 80, 20, 7}).map(Hadamard::size).toArray();
    assertTrue(Arrays.equals(new int[] {64, 16, 4, 1}, sizes), () -> Arrays.toString(sizes));
  }
}
