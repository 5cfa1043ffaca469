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
  private RopeTable() {}

  /**
   * Returns the table of the positions {@code [0, positions)}. The angle is a float product, as in
   * the reference implementations: at position 8000 it differs from the double product in the
   * fourth digit of the cosine, and models were trained with the float.
   */
  public static Rope create(Backend backend, MemoryScope scope, RopeConfig config, int positions) {
    float[] inverseFrequencies = config.inverseFrequencies();
    int pairs = inverseFrequencies.length;
    float[] cosines = new float[positions * pairs];
    float[] sines = new float[positions * pairs];
    for (int position = 0; position < positions; position++) {
      for (int pair = 0; pair < pairs; pair++) {
        float angle = position * inverseFrequencies[pair];
        cosines[position * pairs + pair] = (float) Math.cos(angle);
        sines[position * pairs + pair] = (float) Math.sin(angle);
      }
    }
    return new Rope(
        config.style(),
        upload(backend, scope, cosines, positions, pairs),
        upload(backend, scope, sines, positions, pairs));
  }

  private static Tensor upload(
      Backend backend, MemoryScope scope, float[] numbers, int positions, int pairs) {
    Tensor tensor = scope.allocate(DType.F32, Shape.of(positions, pairs));
    backend.host().copyFromHost(tensor, numbers);
    return tensor;
  }
}
