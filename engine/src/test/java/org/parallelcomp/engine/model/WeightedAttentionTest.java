package org.parallelcomp.engine.model;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.parallelcomp.api.backend.AttendSequence;
import org.parallelcomp.api.backend.Backend;
import org.parallelcomp.api.backend.BackendConfig;
import org.parallelcomp.api.backend.MemoryScope;
import org.parallelcomp.api.backend.TensorOps;
import org.parallelcomp.api.cache.KvLayer;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Shape;
import org.parallelcomp.api.tensor.Tensor;
import org.parallelcomp.engine.registry.BackendRegistry;

/** APE and the re-weighting of sinks, against their formulas in double precision. */
class WeightedAttentionTest {
  private static final int KV_HEADS = 3;
  private static final int GROUP = 2;
  private static final int HEAD_DIM = 16;
  private static final int TOKENS = 45;
  private static final int ROWS = 5;

  @Test
  void temperedAttentionIsItsFormula() {
    double temperature = 0.7;
    double scale = 0.8;
    assertWeighed(
        range -> new ContextWeighting.Tempered(range, temperature, scale),
        (dots, inside) -> {
          double context = 0;
          double others = 0;
          for (int j = 0; j < dots.length; j++) {
            context += inside[j] ? Math.exp(dots[j] / temperature) : 0;
            others += inside[j] ? 0 : Math.exp(dots[j]);
          }
          // LSE_C' = scale * temperature * LSE_C
          double weighed = Math.exp(scale * temperature * Math.log(context));
          double[] p = new double[dots.length];
          for (int j = 0; j < dots.length; j++) {
            p[j] =
                inside[j]
                    ? Math.exp(dots[j] / temperature) / context * weighed / (weighed + others)
                    : Math.exp(dots[j]) / (weighed + others);
          }
          return p;
        });
  }

  @Test
  void lighterSinksAreTheirFormula() {
    double beta = 0.4;
    assertWeighed(
        range -> new ContextWeighting.LighterSinks(List.of(range), beta),
        (dots, inside) -> {
          double sinks = 0;
          double others = 0;
          for (int j = 0; j < dots.length; j++) {
            sinks += inside[j] ? Math.exp(dots[j]) : 0;
            others += inside[j] ? 0 : Math.exp(dots[j]);
          }
          double share = beta * sinks / (sinks + others);
          double[] p = new double[dots.length];
          for (int j = 0; j < dots.length; j++) {
            p[j] =
                inside[j]
                    ? Math.exp(dots[j]) / sinks * share
                    : Math.exp(dots[j]) / others * (1 - share);
          }
          return p;
        });
  }

  private interface Weighting {
    ContextWeighting over(ContextWeighting.Range range);
  }

  private interface Formula {
    double[] probabilities(double[] scaledDots, boolean[] inside);
  }

  /** Random queries and keys with outliers; the range differs from head to head, one has none. */
  private static void assertWeighed(Weighting weighting, Formula formula) {
    var random = new Random(5);
    float[] q = numbers(random, ROWS * KV_HEADS * GROUP * HEAD_DIM);
    float[] k = numbers(random, TOKENS * KV_HEADS * HEAD_DIM);
    float[] v = numbers(random, TOKENS * KV_HEADS * HEAD_DIM);
    int[] from = {6, 0, 8};
    int[] to = {20, 23, 8};
    float scale = 0.25f;
    float[] actual;
    try (Backend backend =
            BackendRegistry.discover().open("cpu-vector", new BackendConfig(2, Map.of()));
        MemoryScope scope = backend.openScope("test")) {
      TensorOps ops = backend.tensorOps(scope);
      Shape kvShape = Shape.of(TOKENS, KV_HEADS, HEAD_DIM);
      Tensor positions = scope.allocate(DType.I32, Shape.of(TOKENS));
      backend.host().copyFromHost(positions, IntStream.range(0, TOKENS).toArray());
      int[] capacities = {TOKENS, TOKENS + 3, TOKENS};
      KvLayer layer = backend.cache().allocate(scope, DType.F32, capacities, HEAD_DIM);
      backend.cache().append(layer, ops.constant(kvShape, k), ops.constant(kvShape, v), positions);
      Tensor queries = ops.constant(Shape.of(ROWS, KV_HEADS * GROUP, HEAD_DIM), q);
      Tensor out = scope.allocate(DType.F32, queries.shape());
      WeightedAttention.attend(
          backend,
          scope,
          out,
          queries,
          scale,
          AttendSequence.causal(0, ROWS, layer),
          weighting.over(new ContextWeighting.Range(from, to)));
      actual = backend.host().copyToHostFloats(out);
    }
    for (int row = 0; row < ROWS; row++) {
      for (int g = 0; g < KV_HEADS * GROUP; g++) {
        int h = g / GROUP;
        int firstQuery = (row * KV_HEADS * GROUP + g) * HEAD_DIM;
        double[] dots = new double[TOKENS - ROWS + row + 1];
        boolean[] inside = new boolean[dots.length];
        for (int j = 0; j < dots.length; j++) {
          for (int c = 0; c < HEAD_DIM; c++) {
            dots[j] += scale * (double) q[firstQuery + c] * k[(j * KV_HEADS + h) * HEAD_DIM + c];
          }
          inside[j] = j >= from[h] && j < to[h];
        }
        double[] p = formula.probabilities(dots, inside);
        assertEquals(1, Arrays.stream(p).sum(), 1e-9);
        for (int c = 0; c < HEAD_DIM; c++) {
          double expected = 0;
          for (int j = 0; j < dots.length; j++) {
            expected += p[j] * v[(j * KV_HEADS + h) * HEAD_DIM + c];
          }
          assertEquals(
              expected,
              actual[firstQuery + c],
              1e-4 * Math.max(1, Math.abs(expected)),
              "row " + row + ", head " + g);
        }
      }
    }
  }

  private static float[] numbers(Random random, int count) {
    float[] numbers = new float[count];
    for (int i = 0; i < count; i++) {
      numbers[i] = (float) (random.nextGaussian() * (random.nextInt(40) == 0 ? 4 : 1));
    }
    return numbers;
  }
}
