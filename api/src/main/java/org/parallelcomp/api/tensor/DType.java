package org.parallelcomp.api.tensor;

/**
 * Element types. The block types are those of GGUF: a row is a sequence of blocks of {@link
 * #blockElements()} numbers, each packed in {@link #blockBytes()} bytes.
 */
public enum DType {
  /** IEEE 754 single precision. */
  F32(1, 4),
  /** IEEE 754 half precision. */
  F16(1, 2),
  /** The upper half of a single-precision number. */
  BF16(1, 2),
  /** Signed 32-bit integer: token ids, positions, indices. */
  I32(1, 4),
  /** Scale (F16) and 32 signed bytes. */
  Q8_0(32, 34),
  /** Scale (F16) and 32 nibbles less 8. */
  Q4_0(32, 18),
  /** Scale, minimum (F16) and 32 nibbles. */
  Q4_1(32, 20),
  /** Scale (F16), 32 fifth bits and 32 nibbles, less 16. */
  Q5_0(32, 22),
  /** Scale, minimum (F16), 32 fifth bits and 32 nibbles. */
  Q5_1(32, 24),
  /** Super-block of 8 x 32 nibbles with 6-bit scales and minima. */
  Q4_K(256, 144),
  /** Super-block of 8 x 32 five-bit numbers with 6-bit scales and minima. */
  Q5_K(256, 176),
  /** Super-block of 16 x 16 six-bit numbers with 8-bit scales. */
  Q6_K(256, 210);

  private final int blockElements;
  private final int blockBytes;

  DType(int blockElements, int blockBytes) {
    this.blockElements = blockElements;
    this.blockBytes = blockBytes;
  }

  /** Returns how many numbers one block holds; 1 for the plain types. */
  public int blockElements() {
    return blockElements;
  }

  /** Returns the bytes of one block; of one number for the plain types. */
  public int blockBytes() {
    return blockBytes;
  }

  /** Returns whether numbers are packed in blocks, so that only whole blocks can be addressed. */
  public boolean isBlock() {
    return blockElements > 1;
  }

  /**
   * Returns the bytes of so many consecutive numbers.
   *
   * @throws IllegalArgumentException if they do not fill whole blocks
   * @throws ArithmeticException if the size does not fit a long
   */
  public long bytes(long elements) {
    if (elements < 0 || elements % blockElements != 0) {
      throw new IllegalArgumentException(
          elements + " elements do not fill blocks of " + blockElements);
    }
    return Math.multiplyExact(elements / blockElements, (long) blockBytes);
  }
}
