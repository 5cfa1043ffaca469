package org.parallelcomp.backend.cpu.vector.simd;

import java.lang.foreign.MemorySegment;
import org.parallelcomp.api.tensor.DType;

/**
 * The keys and values of one kv head: {@code [tokens, headDim]} each, without gaps.
 *
 * @param keys memory of the keys
 * @param keysOffset byte of the first key
 * @param values memory of the values
 * @param valuesOffset byte of the first value
 * @param format how a number is stored: F32, F16 or BF16
 * @param headDim numbers of a key
 */
public record KeyValues(
    MemorySegment keys,
    long keysOffset,
    MemorySegment values,
    long valuesOffset,
    DType format,
    int headDim) {

  /** Copies the keys of tokens {@code [from, from + count)} to an array, from its start. */
  void readKeys(int from, int count, float[] to) {
    Dequantize.blocks(format, keys, keysOffset + bytes(from), count * headDim, to, 0);
  }

  /** Copies the values of tokens {@code [from, from + count)} to an array, from its start. */
  void readValues(int from, int count, float[] to) {
    Dequantize.blocks(format, values, valuesOffset + bytes(from), count * headDim, to, 0);
  }

  /** Copies one key to an array, from its start. */
  public void readKey(int token, float[] to) {
    readKeys(token, 1, to);
  }

  private long bytes(int token) {
    return format.bytes((long) token * headDim);
  }
}
