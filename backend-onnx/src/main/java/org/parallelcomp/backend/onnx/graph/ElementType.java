package org.parallelcomp.backend.onnx.graph;

/** Element types by their number in the format, which is also the runtime's. */
public enum ElementType {
  /** IEEE 754 single precision. */
  FLOAT(1, 4),
  /** Unsigned byte. */
  UINT8(2, 1),
  /** Signed byte. */
  INT8(3, 1),
  /** Signed 32-bit integer. */
  INT32(6, 4),
  /** Signed 64-bit integer. */
  INT64(7, 8),
  /** Truth value. */
  BOOL(9, 1),
  /** IEEE 754 double precision. */
  DOUBLE(11, 8);

  private final int number;
  private final int bytes;

  ElementType(int number, int bytes) {
    this.number = number;
    this.bytes = bytes;
  }

  /** Returns the number that stands for the type. */
  public int number() {
    return number;
  }

  /** Returns the bytes of one element. */
  public int bytes() {
    return bytes;
  }
}
