package org.parallelcomp.backend.cpu.vector.simd;

import java.lang.foreign.MemorySegment;
import java.util.Objects;
import org.parallelcomp.api.tensor.DType;

/**
 * A weight matrix as it lies in memory.
 *
 * @param segment the memory; never written
 * @param offset of the first row, in bytes
 * @param format how a row is stored
 * @param rows N, the number of outputs
 * @param columns K, the number of inputs, whole blocks of the format
 */
public record WeightMatrix(
    MemorySegment segment, long offset, DType format, int rows, int columns) {

  /** Checks that the matrix holds weights and lies inside the segment. */
  public WeightMatrix {
    if (format == DType.I32) {
      throw new IllegalArgumentException("weights are not integers");
    }
    if (rows < 0 || columns < 0) {
      throw new IllegalArgumentException(
          "rows and columns must not be negative; rows=" + rows + ", columns=" + columns);
    }
    Objects.checkFromIndexSize(offset, rows * format.bytes(columns), segment.byteSize());
  }

  /** Bytes of one row, and the distance of two rows. */
  public long rowBytes() {
    return format.bytes(columns);
  }

  /** Byte offset of a row in the segment. */
  public long rowOffset(int row) {
    return offset + row * rowBytes();
  }
}
