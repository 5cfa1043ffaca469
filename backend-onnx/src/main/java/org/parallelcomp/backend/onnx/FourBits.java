package org.parallelcomp.backend.onnx;

import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.stream.IntStream;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.backend.host.HostTensor;
import org.parallelcomp.backend.host.Rows;

/**
 * Weights in 4 bits as the runtime's operator wants them: {@code w = (q - z) s}, with a scale s and
 * a whole zero point z for 32 of them.
 *
 * <p>Blocks of a file are {@code w = s q + m}, and there -m/s need not be whole. The numbers and
 * the scale stay as they are, z is -m/s rounded, and what that leaves, {@code r = m + z s}, is the
 * same for all weights of the block: {@code sum of r x_k = 32 r mean(x)}. So the rests of an
 * output, times 32, follow its weights as further columns, and the means of blocks follow the
 * activations. Rounded to 4 bits themselves, they are within a thirtieth of a step s.
 */
final class FourBits {
  /** Weights that share a scale. */
  static final int BLOCK = 32;

  private FourBits() {}

  /** Returns whether files hold numbers of this type in blocks of that form. */
  static boolean areIn(DType dtype) {
    return switch (dtype) {
      case Q4_0, Q4_1, Q4_K -> true;
      default -> false;
    };
  }

  /** Returns whether matrices of one input have rests. */
  static boolean haveRests(List<HostTensor> matrices) {
    return matrices.stream()
        .anyMatch(matrix -> areIn(matrix.dtype()) && matrix.dtype() != DType.Q4_0);
  }

  /** Returns the columns of the matrices of one input, with those of the rests. */
  static int columns(List<HostTensor> matrices) {
    int weights = matrices.getFirst().shape().intDim(1);
    return haveRests(matrices) ? weights + weights / BLOCK : weights;
  }

  /** Writes the numbers {@code [outputDim, blocks, 16]}, the even columns in the lower halves. */
  static void numbers(List<HostTensor> matrices, MemorySegment to) {
    forRows(
        matrices,
        (row, out) -> {
          byte[] halves = new byte[row.numbers.length / 2];
          for (int i = 0; i < halves.length; i++) {
            halves[i] = (byte) (row.numbers[2 * i] | row.numbers[2 * i + 1] << 4);
          }
          MemorySegment.copy(halves, 0, to, Rows.BYTE, (long) out * halves.length, halves.length);
        });
  }

  /** Writes the scales {@code [outputDim, blocks]}. */
  static void scales(List<HostTensor> matrices, MemorySegment to) {
    forRows(
        matrices,
        (row, out) -> {
          int blocks = row.scales.length;
          MemorySegment.copy(row.scales, 0, to, Rows.FLOAT, 4L * out * blocks, blocks);
        });
  }

  /** Writes the zero points {@code [outputDim, ceil(blocks / 2)]}, two in a byte. */
  static void zeros(List<HostTensor> matrices, MemorySegment to) {
    forRows(
        matrices,
        (row, out) -> {
          byte[] halves = new byte[Math.ceilDiv(row.zeros.length, 2)];
          for (int block = 0; block < row.zeros.length; block++) {
            halves[block / 2] |= (byte) (row.zeros[block] << 4 * (block % 2));
          }
          MemorySegment.copy(halves, 0, to, Rows.BYTE, (long) out * halves.length, halves.length);
        });
  }

  private interface RowBody {
    void write(Row row, int out);
  }

  /** Visits the rows of several matrices as if they were one. */
  private static void forRows(List<HostTensor> matrices, RowBody body) {
    int columns = columns(matrices);
    int first = 0;
    for (HostTensor matrix : matrices) {
      int start = first;
      IntStream.range(0, matrix.shape().intDim(0))
          .parallel()
          .forEach(row -> body.write(Row.of(matrix, row, columns), start + row));
      first += matrix.shape().intDim(0);
    }
  }

  /**
   * The weights of one output.
   *
   * @param numbers q, one in a byte, with zero points behind the last column
   * @param scales s of each block
   * @param zeros z of each block
   */
  private record Row(byte[] numbers, float[] scales, byte[] zeros) {
    static Row of(HostTensor matrix, int row, int columns) {
      int blocks = Math.ceilDiv(columns, BLOCK);
      var packed = new Row(new byte[blocks * BLOCK], new float[blocks], new byte[blocks]);
      int weights = matrix.shape().intDim(1);
      if (areIn(matrix.dtype())) {
        float[] rests = packed.take(matrix, row, weights / BLOCK);
        if (columns > weights) {
          packed.round(rests, weights / BLOCK);
        }
      } else {
        packed.round(Products.row(matrix, row), 0);
      }
      return packed;
    }

    /** Takes blocks as the file has them; returns the rests, times 32. */
    private float[] take(HostTensor matrix, int row, int blocks) {
      float[] rests = new float[blocks];
      long from = matrix.startByte() + matrix.dtype().bytes((long) row * blocks * BLOCK);
      for (int block = 0; block < blocks; block++) {
        WeightBlocks.Line line =
            WeightBlocks.fourBits(
                matrix.dtype(), matrix.storage(), from, block, numbers, block * BLOCK);
        int zero = Math.clamp(Math.round(-line.offset() / line.scale()), 0, 15);
        scales[block] = line.scale();
        zeros[block] = (byte) zero;
        rests[block] = BLOCK * (line.offset() + zero * line.scale());
      }
      return rests;
    }

    /** Rounds numbers to blocks of which this is the first. */
    private void round(float[] exact, int firstBlock) {
      for (int from = 0; from < exact.length; from += BLOCK) {
        int block = firstBlock + from / BLOCK;
        int end = Math.min(from + BLOCK, exact.length);
        float min = 0;
        float max = 0;
        for (int i = from; i < end; i++) {
          min = Math.min(min, exact[i]);
          max = Math.max(max, exact[i]);
        }
        float scale = max == min ? 1 : (max - min) / 15;
        int zero = Math.clamp(Math.round(-min / scale), 0, 15);
        scales[block] = scale;
        zeros[block] = (byte) zero;
        for (int i = 0; i < BLOCK; i++) {
          int number = from + i < end ? Math.round(exact[from + i] / scale) + zero : zero;
          numbers[block * BLOCK + i] = (byte) Math.clamp(number, 0, 15);
        }
      }
    }
  }
}
