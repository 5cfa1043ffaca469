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
   * scale for each row.
   */
  INT8,
  /** Weights in 4 bits with a scale and a zero point for 32 of them, activations in 8 bits. */
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
