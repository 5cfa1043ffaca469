package org.parallelcomp.backend.cpu.vector.simd;

import java.lang.foreign.MemorySegment;

/**
 * A float tensor of {@code [tokens, heads, headDim]} in memory: queries, or the output of
 * attention.
 *
 * @param segment the memory
 * @param offset byte of the first number
 * @param tokenStride bytes from token to token
 * @param headStride bytes from head to head
 * @param headDim numbers of a head, without gaps
 */
public record Heads(
    MemorySegment segment, long offset, long tokenStride, long headStride, int headDim) {

  /** Copies neighbouring heads of one token to an array. */
  void read(int token, int head, int count, float[] to, int at) {
    long from = byteOf(token, head);
    if (headStride == 4L * headDim) {
      MemorySegment.copy(segment, Dequantize.LE_FLOAT, from, to, at, count * headDim);
    } else {
      for (int i = 0; i < count; i++) {
        long start = from + i * headStride;
        MemorySegment.copy(segment, Dequantize.LE_FLOAT, start, to, at + i * headDim, headDim);
      }
    }
  }

  /** Copies an array to neighbouring heads of one token. */
  void write(int token, int head, int count, float[] from, int at) {
    long to = byteOf(token, head);
    if (headStride == 4L * headDim) {
      MemorySegment.copy(from, at, segment, Dequantize.LE_FLOAT, to, count * headDim);
    } else {
      for (int i = 0; i < count; i++) {
        long start = to + i * headStride;
        MemorySegment.copy(from, at + i * headDim, segment, Dequantize.LE_FLOAT, start, headDim);
      }
    }
  }

  private long byteOf(int token, int head) {
    return offset + token * tokenStride + head * headStride;
  }
}
