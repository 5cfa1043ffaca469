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

  /** Copies one head of one token to an array. */
  void read(int token, int head, float[] to, int at) {
    MemorySegment.copy(segment, Dequantize.LE_FLOAT, byteOf(token, head), to, at, headDim);
  }

  /** Copies an array to one head of one token. */
  void write(int token, int head, float[] from, int at) {
    MemorySegment.copy(from, at, segment, Dequantize.LE_FLOAT, byteOf(token, head), headDim);
  }

  private long byteOf(int token, int head) {
    return offset + token * tokenStride + head * headStride;
  }
}
