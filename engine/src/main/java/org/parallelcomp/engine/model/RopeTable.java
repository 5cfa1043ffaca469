package org.parallelcomp.engine.model;

import org.parallelcomp.api.backend.Backend;
import org.parallelcomp.api.backend.MemoryScope;
import org.parallelcomp.api.backend.Rope;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Shape;
import org.parallelcomp.api.tensor.Tensor;
import org.parallelcomp.engine.load.RopeConfig;

/** Makes the table of cosines and sines that backends rotate by. */
public final class RopeTable {
  /** So many positions pass through the Java heap at once, however many there are. */
  private static final int BLOCK_POSITIONS = 1 << 13;

  private RopeTable() {}

  /**
   * Returns the table of the positions {@code [0, positions)}. The angle is a float product, as in
   * the reference implementations: at position 8000 it differs from the double product in the
   * fourth digit of the cosine, and models were trained with the float.
   */
  public static Rope create(Backend backend, MemoryScope scope, RopeConfig config, int positions) {
    float[] inverseFrequencies = config.inverseFrequencies();
    int pairs = inverseFrequencies.length;
    Tensor cosines = scope.allocate(DType.F32, Shape.of(positions, pairs));
    Tensor sines = scope.allocate(DType.F32, Shape.of(positions, pairs));
    for (int from = 0, to; from < positions; from = to) {
      to = from + Math.min(BLOCK_POSITIONS, positions - from);
      float[] cosine = new float[(to - from) * pairs];
      float[] sine = new float[(to - from) * pairs];
      for (int position = from; position < to; position++) {
        for (int pair = 0; pair < pairs; pair++) {
          float angle = position * inverseFrequencies[pair];
          cosine[(position - from) * pairs + pair] = (float) Math.cos(angle);
          sine[(position - from) * pairs + pair] = (float) Math.sin(angle);
        }
      }
      backend.host().copyFromHost(cosines.slice(0, from, to), cosine);
      backend.host().copyFromHost(sines.slice(0, from, to), sine);
    }
    return new Rope(config.style(), cosines, sines);
  }

  /**
   * Returns the mean of the rotation matrices of the positions {@code [first, first + count)},
   * {@code [headDim, headDim]} in row-major order: it is to be applied to columns.
   */
  public static float[] meanRotation(RopeConfig config, int headDim, int first, int count) {
    float[] inverseFrequencies = config.inverseFrequencies();
    int pairs = inverseFrequencies.length;
    boolean neighbours = config.style() == Rope.Style.INTERLEAVED;
    float[] mean = new float[headDim * headDim];
    for (int dim = 2 * pairs; dim < headDim; dim++) {
      mean[dim * headDim + dim] = 1;
    }
    for (int pair = 0; pair < pairs; pair++) {
      double cosine = 0;
      double sine = 0;
      for (int position = first; position < first + count; position++) {
        float angle = position * inverseFrequencies[pair];
        cosine += Math.cos(angle) / count;
        sine += Math.sin(angle) / count;
      }
      int a = neighbours ? 2 * pair : pair;
      int b = neighbours ? 2 * pair + 1 : pair + pairs;
      mean[a * headDim + a] = (float) cosine;
      mean[a * headDim + b] = (float) -sine;
      mean[b * headDim + a] = (float) sine;
      mean[b * headDim + b] = (float) cosine;
    }
    return mean;
  }

  /** Returns the bytes of a table. */
  public static long bytes(RopeConfig config, int positions) {
    return 2 * DType.F32.bytes((long) positions * config.inverseFrequencies().length);
  }
}
