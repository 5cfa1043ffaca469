package org.parallelcomp.backend.onnx;

import java.lang.foreign.MemorySegment;
import org.parallelcomp.backend.host.Rows;

/**
 * The rotation that makes numbers fit for few bits: blocks of activations and of weights are
 * multiplied with a matrix H of Hadamard, {@code x · wᵀ = (x H) (w H)ᵀ}, since {@code H Hᵀ = 1}. An
 * outlier among the activations, which would take all steps of its row's scale, is spread over the
 * numbers of its block (QuaRot, arXiv 2404.00456, which rotates whole vectors).
 */
final class Hadamard {
  /** Sizes of blocks, powers of four, so that the factor of H is a power of two. */
  private static final int[] SIZES = {64, 16, 4};

  private Hadamard() {}

  /** Returns the size of the blocks of rows of this length, 1 if there is none. */
  static int size(int length) {
    for (int size : SIZES) {
      if (length % size == 0) {
        return size;
      }
    }
    return 1;
  }

  /** Writes H {@code [size, size]} in F32: {@code H[i, j] = (-1)^(bits of i & j) / sqrt(size)}. */
  static void write(int size, MemorySegment to) {
    float factor = factor(size);
    for (int i = 0; i < size; i++) {
      for (int j = 0; j < size; j++) {
        float number = Integer.bitCount(i & j) % 2 == 0 ? factor : -factor;
        to.setAtIndex(Rows.FLOAT, (long) i * size + j, number);
      }
    }
  }

  /** Multiplies each block of a row with H, in place: sums and differences, halving the strides. */
  static void rotate(float[] row) {
    int size = size(row.length);
    float factor = factor(size);
    for (int from = 0; from < row.length; from += size) {
      for (int stride = size / 2; stride > 0; stride /= 2) {
        for (int i = from; i < from + size; i++) {
          if ((i - from & stride) == 0) {
            float a = row[i];
            float b = row[i + stride];
            row[i] = a + b;
            row[i + stride] = a - b;
          }
        }
      }
      for (int i = from; i < from + size; i++) {
        row[i] *= factor;
      }
    }
  }

  private static float factor(int size) {
    return (float) (1 / Math.sqrt(size));
  }
}
