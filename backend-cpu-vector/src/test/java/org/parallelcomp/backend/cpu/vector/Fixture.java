package org.parallelcomp.backend.cpu.vector;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.Map;
import java.util.Random;
import java.util.stream.IntStream;
import org.parallelcomp.api.backend.Backend;
import org.parallelcomp.api.backend.BackendConfig;
import org.parallelcomp.api.backend.MemoryScope;
import org.parallelcomp.api.cache.KvLayer;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Shape;
import org.parallelcomp.api.tensor.Tensor;

/** An open backend with a scope and seeded numbers. */
final class Fixture implements AutoCloseable {
  final long seed;
  final Random random;
  final Backend backend;
  final MemoryScope scope;

  Fixture(long seed) {
    this(seed, 2);
  }

  Fixture(long seed, int threads) {
    this.seed = seed;
    this.random = new Random(seed);
    this.backend = new CpuBackendProvider().open(new BackendConfig(threads, Map.of()));
    this.scope = backend.openScope("test");
  }

  /** Returns normal numbers, one in 50 of them twenty times as large. */
  float[] numbers(int count) {
    float[] numbers = new float[count];
    for (int i = 0; i < count; i++) {
      numbers[i] = (float) random.nextGaussian() * (random.nextInt(50) == 0 ? 20 : 1);
    }
    return numbers;
  }

  Tensor tensor(float[] numbers, long... dims) {
    Tensor tensor = scope.allocate(DType.F32, Shape.of(dims));
    backend.host().copyFromHost(tensor, numbers);
    return tensor;
  }

  Tensor ints(int... numbers) {
    Tensor tensor = scope.allocate(DType.I32, Shape.of(numbers.length));
    backend.host().copyFromHost(tensor, numbers);
    return tensor;
  }

  Tensor random(long... dims) {
    return tensor(numbers((int) Shape.of(dims).elements()), dims);
  }

  Tensor zeros(long... dims) {
    return scope.allocate(DType.F32, Shape.of(dims));
  }

  float[] floats(Tensor tensor) {
    return backend.host().copyToHostFloats(tensor);
  }

  int[] integers(Tensor tensor) {
    return backend.host().copyToHostInts(tensor);
  }

  /** Returns a layer in which head h holds tokens[h] random tokens at positions 0, 1, 2 … */
  KvLayer layer(DType dtype, int headDim, int... tokens) {
    KvLayer layer = backend.cache().allocate(scope, dtype, tokens, headDim);
    int most = Arrays.stream(tokens).max().orElse(0);
    // Ragged heads come from a full layer, so that only the operations under test write.
    int[] full = new int[tokens.length];
    Arrays.fill(full, most);
    KvLayer source = backend.cache().allocate(scope, dtype, full, headDim);
    backend
        .cache()
        .append(
            source,
            random(most, tokens.length, headDim),
            random(most, tokens.length, headDim),
            ints(IntStream.range(0, most).toArray()));
    for (int head = 0; head < tokens.length; head++) {
      source.setTokens(head, tokens[head]);
    }
    backend.cache().concatenate(layer, source);
    return layer;
  }

  /** Requires numbers equal to a reference up to an error relative to the largest of them. */
  void assertClose(double[] expected, float[] actual, double tolerance, String what) {
    assertEquals(expected.length, actual.length, what);
    double scale = 0;
    for (double x : expected) {
      scale = Double.isFinite(x) ? Math.max(scale, Math.abs(x)) : scale;
    }
    for (int i = 0; i < expected.length; i++) {
      boolean close =
          Double.isNaN(expected[i])
              ? Float.isNaN(actual[i])
              : expected[i] == actual[i]
                  || Math.abs(expected[i] - actual[i]) <= tolerance * Math.max(scale, 1e-3);
      int at = i;
      double of = scale;
      assertTrue(
          close,
          () ->
              what
                  + ": number "
                  + at
                  + " is "
                  + actual[at]
                  + ", not "
                  + expected[at]
                  + " (greatest "
                  + of
                  + ", seed "
                  + seed
                  + ")");
    }
  }

  @Override
  public void close() {
    backend.close();
  }
}
