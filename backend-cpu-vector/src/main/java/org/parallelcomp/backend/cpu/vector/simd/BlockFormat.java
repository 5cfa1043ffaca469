package org.parallelcomp.backend.cpu.vector.simd;

/**
 * How a weight matrix is stored: the element types and the block layouts of GGUF.
 *
 * <p>A row is a whole number of blocks, one after the other, little-endian.
 */
public enum BlockFormat {
  /** IEEE binary32. */
  F32(1, 4),
  /** IEEE binary16. */
  F16(1, 2),
  /** The upper half of a binary32. */
  BF16(1, 2),
  /** {@code [f16 d][i8 q x 32]}, value = d q. */
  Q8_0(32, 34),
  /** {@code [f16 d][u4 q x 32]}, value = d (q - 8); low nibbles hold elements 0 to 15. */
  Q4_0(32, 18),
  /** {@code [f16 d][f16 m][u4 q x 32]}, value = d q + m. */
  Q4_1(32, 20),
  /** {@code [f16 d][u32 fifth bits][u4 x 32]}, value = d (q - 16). */
  Q5_0(32, 22),
  /** {@code [f16 d][f16 m][u32 fifth bits][u4 x 32]}, value = d q + m. */
  Q5_1(32, 24),
  /** {@code [f16 d][f16 dmin][8 x (u6 scale, u6 min)][u4 q x 256]}. */
  Q4_K(256, 144),
  /** {@code [f16 d][f16 dmin][8 x (u6 scale, u6 min)][fifth bits, 32 B][u4 x 256]}. */
  Q5_K(256, 176),
  /**
   * {@code [low nibbles, 128 B][two high bits, 64 B][i8 scale x 16][f16 d]}, value = d s (q - 32).
   */
  Q6_K(256, 210);

  private final int blockElements;
  private final int blockBytes;

  BlockFormat(int blockElements, int blockBytes) {
    this.blockElements = blockElements;
    this.blockBytes = blockBytes;
  }

  /** Elements in one block: 1, 32 or 256. */
  public int blockElements() {
    return blockElements;
  }

  /** Bytes of one block. */
  public int blockBytes() {
    return blockBytes;
  }

  /** Bytes of {@code elements} elements, which must be whole blocks. */
  public long bytes(long elements) {
    if (elements % blockElements != 0) {
      throw new IllegalArgumentException(
          this + " is stored in blocks of " + blockElements + "; elements=" + elements);
    }
    return elements / blockElements * blockBytes;
  }
}
