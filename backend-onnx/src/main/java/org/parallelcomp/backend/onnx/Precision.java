package org.parallelcomp.backend.onnx;

import java.util.Arrays;
import java.util.List;
import java.util.Locale;

/** What weights and activations are multiplied as. */
enum Precision {
  /** Single precision throughout. */
  F32,
  /**
   * Weights as signed bytes with a scale for each output, activations as unsigned bytes with a
   * scale for each row. A single row takes what the file holds in 4 bits as INT4 does.
   */
  INT8,
  /**
   * Weights in 4 bits with a scale and a zero point for 32 of them, as a file of 4 bits has them,
   * others rounded; activations in 8 bits. The head has 8 bits where the file has more than 4.
   */
  INT4;

  static final Precision DEFAULT = INT8;

  /** Returns the name by which users choose. */
  String word() {
    return name().toLowerCase(Locale.ROOT);
  }

  static List<String> words() {
    return Arrays.stream(values()).map(Precision::word).toList();
  }
}
