package org.parallelcomp.backend.onnx;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.parallelcomp.api.backend.MemoryScope;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Shape;
import org.parallelcomp.backend.host.HostMemory;
import org.parallelcomp.backend.host.HostTensor;
import org.parallelcomp.backend.host.Rows;

class FourBitsTest {
  private static final int ROWS = 7;
  private static final int COLUMNS = 768;

  private final HostMemory memory = new HostMemory("test", WeightBlocks::unpack);
  private final MemoryScope scope = memory.openScope("test");
  private final Random random = new Random(11);

  @AfterEach
  void close() {
    memory.close();
  }

  @ParameterizedTest
  @EnumSource(names = {"Q4_0", "Q4_1", "Q4_K"})
  void takesTheBlocksOfAFileAndWhatTheirZeroPointsLeave(DType dtype) {
    HostTensor matrix = blocks(dtype);
    float[] x = activations();
    double[] got = product(List.of(matrix), x);
    for (int row = 0; row < ROWS; row++) {
      float[] weights = Products.row(matrix, row);
      double wanted = 0;
      double size = 0;
      for (int k = 0; k < COLUMNS; k++) {
        wanted += (double) weights[k] * x[k];
        size += Math.pow((double) weights[k] * x[k], 2);
      }
      double error = Math.abs(got[row] - wanted) / Math.sqrt(size);
      assertTrue(error < (dtype == DType.Q4_0 ? 1e-6 : 0.02), dtype + " row " + row + ": " + error);
    }
  }

  @Test
  void roundsOtherNumbersToSixteenSteps() {
    HostTensor matrix = memory.tensor(scope.allocate(DType.F32, Shape.of(ROWS, COLUMNS)));
    for (int i = 0; i < ROWS * COLUMNS; i++) {
      matrix.storage().setAtIndex(Rows.FLOAT, i, (float) random.nextGaussian());
    }
    for (int k = 0; k < COLUMNS; k += 5) {
      float[] one = new float[COLUMNS];
      one[k] = 1;
      double[] got = product(List.of(matrix), one);
      for (int row = 0; row < ROWS; row++) {
        float[] weights = Products.row(matrix, row);
        float min = 0;
        float max = 0;
        for (int i = k / 32 * 32; i < k / 32 * 32 + 32; i++) {
          min = Math.min(min, weights[i]);
          max = Math.max(max, weights[i]);
        }
        // Half a step, and half a one more at the ends since the zero point is whole.
        assertEquals(weights[k], got[row], 1.01 * (max - min) / 15);
      }
    }
  }

  @Test
  void matricesOfOneInputAreOne() {
    HostTensor first = blocks(DType.Q4_0);
    HostTensor second = blocks(DType.Q4_1);
    float[] x = activations();
    double[] both = product(List.of(first, second), x);
    double[] alone = product(List.of(first), x);
    for (int row = 0; row < ROWS; row++) {
      assertEquals(alone[row], both[row], 1e-9);
    }
    double[] ofSecond = product(List.of(second), x);
    for (int row = 0; row < ROWS; row++) {
      assertEquals(ofSecond[row], both[ROWS + row], 1e-9);
    }
  }

  /** Random bytes are blocks, but for the scales, which are set. */
  private HostTensor blocks(DType dtype) {
    HostTensor matrix = memory.tensor(scope.allocate(dtype, Shape.of(ROWS, COLUMNS)));
    MemorySegment bytes = matrix.storage();
    for (long i = 0; i < bytes.byteSize(); i++) {
      bytes.set(Rows.BYTE, i, (byte) random.nextInt());
    }
    for (long at = 0; at < bytes.byteSize(); at += dtype.blockBytes()) {
      float scale = 0.5f + random.nextFloat();
      bytes.set(Rows.SHORT, at, Float.floatToFloat16(scale));
      switch (dtype) {
        case Q4_1 -> {
          float minimum = -scale * (5 + 5 * random.nextFloat());
          bytes.set(Rows.SHORT, at + 2, Float.floatToFloat16(minimum));
        }
        case Q4_K -> {
          float ofMinima = scale * (5 + 5 * random.nextFloat());
          bytes.set(Rows.SHORT, at + 2, Float.floatToFloat16(ofMinima));
          // Scales and minima of the runs, all alike, so that each run has a zero among its
          // weights.
          bytes.asSlice(at + 4, 12).fill((byte) -1);
        }
        default -> {}
      }
    }
    return matrix;
  }

  /** With one that is many times larger than the others. */
  private float[] activations() {
    float[] x = new float[COLUMNS];
    for (int k = 0; k < COLUMNS; k++) {
      x[k] = (float) random.nextGaussian();
    }
    x[100] = 20;
    return x;
  }

  /** Multiplies as the runtime's operator does, but for the rounding of activations. */
  private double[] product(List<HostTensor> matrices, float[] x) {
    int columns = FourBits.columns(matrices);
    int blocks = Math.ceilDiv(columns, 32);
    int rows = matrices.stream().mapToInt(matrix -> matrix.shape().intDim(0)).sum();
    MemorySegment numbers = bytes(16L * rows * blocks);
    MemorySegment scales = bytes(4L * rows * blocks);
    int zeroBytes = Math.ceilDiv(blocks, 2);
    MemorySegment zeros = bytes((long) rows * zeroBytes);
    FourBits.numbers(matrices, numbers);
    FourBits.scales(matrices, scales);
    FourBits.zeros(matrices, zeros);
    double[] out = new double[rows];
    for (int row = 0; row < rows; row++) {
      for (int k = 0; k < columns; k++) {
        long block = (long) row * blocks + k / 32;
        int number = numbers.get(Rows.BYTE, 16 * block + k % 32 / 2) >> 4 * (k % 2) & 15;
        int zero = zeros.get(Rows.BYTE, (long) row * zeroBytes + k / 64) >> 4 * (k / 32 % 2) & 15;
        out[row] += (number - zero) * (double) scales.getAtIndex(Rows.FLOAT, block) * at(x, k);
      }
    }
    return out;
  }

  /** An activation, or behind them the mean of 32. */
  private static double at(float[] x, int k) {
    if (k < COLUMNS) {
      return x[k];
    }
    double sum = 0;
    for (int i = 0; i < 32; i++) {
      sum += x[(k - COLUMNS) * 32 + i];
    }
    return sum / 32;
  }

  private MemorySegment bytes(long count) {
    return memory.tensor(scope.allocate(DType.F32, Shape.of(Math.ceilDiv(count, 4)))).storage();
  }
}
