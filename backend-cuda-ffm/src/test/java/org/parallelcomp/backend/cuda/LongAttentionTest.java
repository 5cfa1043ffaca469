package org.parallelcomp.backend.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIf;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.parallelcomp.api.backend.AttendSequence;
import org.parallelcomp.api.backend.Backend;
import org.parallelcomp.api.backend.BackendConfig;
import org.parallelcomp.api.backend.MemoryScope;
import org.parallelcomp.api.cache.KvLayer;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Shape;
import org.parallelcomp.api.tensor.Tensor;

/**
 * What the kit's small shapes do not reach: keys that are cut into parts, chunks that pass
 * together, and steps that repeat until they run as graphs. Held against the formula in double
 * precision.
 */
@EnabledIf(
    value = "org.parallelcomp.backend.cuda.OnDevice#usable",
    disabledReason = "no usable CUDA device here")
class LongAttentionTest {
  private static final int KV_HEADS = 2;
  private static final int GROUP = 3;
  private static final int HEADS = KV_HEADS * GROUP;
  private static final int DIM = 64;
  private static final float SCALE = 0.125f;

  private final Random random = new Random(6);

  /** A layer, and beside it what was appended: {@code [token][kvHead][dim]}, as BF16 holds it. */
  private final class Layer {
    private final KvLayer cache;
    private final List<float[]> keys = new ArrayList<>();
    private final List<float[]> values = new ArrayList<>();

    Layer(Backend backend, MemoryScope scope, int capacity) {
      cache = backend.cache().allocate(scope, DType.BF16, new int[] {capacity, capacity}, DIM);
    }

    void append(Backend backend, MemoryScope scope, int tokens) {
      float[] newKeys = numbers(tokens * KV_HEADS * DIM);
      float[] newValues = numbers(newKeys.length);
      Shape shape = Shape.of(tokens, KV_HEADS, DIM);
      Tensor positions = scope.allocate(DType.I32, Shape.of(tokens));
      backend
          .cache()
          .append(
              cache,
              backend.tensorOps(scope).constant(shape, newKeys),
              backend.tensorOps(scope).constant(shape, newValues),
              positions);
      keep(keys, newKeys, tokens);
      keep(values, newValues, tokens);
    }

    private void keep(List<float[]> to, float[] numbers, int tokens) {
      for (int token = 0; token < tokens; token++) {
        float[] row = new float[KV_HEADS * DIM];
        System.arraycopy(numbers, token * row.length, row, 0, row.length);
        to.add(row);
      }
    }

    /** Scaled products of a row of a head with the first keys. */
    private double[] products(float[] queries, int row, int head, int visible) {
      int query = (row * HEADS + head) * DIM;
      int kv = head / GROUP * DIM;
      double[] products = new double[visible];
      for (int key = 0; key < visible; key++) {
        for (int d = 0; d < DIM; d++) {
          products[key] += (double) queries[query + d] * keys.get(key)[kv + d] * SCALE;
        }
      }
      return products;
    }

    /** The logarithm of the sum of their exponentials. */
    double logSumExp(float[] queries, int row, int head, int visible) {
      double[] products = products(queries, row, head, visible);
      double most = Arrays.stream(products).max().orElseThrow();
      return most + Math.log(Arrays.stream(products).map(p -> Math.exp(p - most)).sum());
    }

    /** Attention of a row of a head to the first keys. */
    double[] expected(float[] queries, int row, int head, int visible) {
      int kv = head / GROUP * DIM;
      double[] products = products(queries, row, head, visible);
      double most = Arrays.stream(products).max().orElseThrow();
      double sum = 0;
      double[] out = new double[DIM];
      for (int key = 0; key < visible; key++) {
        double weight = Math.exp(products[key] - most);
        sum += weight;
        for (int d = 0; d < DIM; d++) {
          out[d] += weight * values.get(key)[kv + d];
        }
      }
      for (int d = 0; d < DIM; d++) {
        out[d] /= sum;
      }
      return out;
    }
  }

  /** Numbers that BF16 holds exactly, so that caches round nothing. */
  private float[] numbers(int count) {
    float[] numbers = new float[count];
    for (int i = 0; i < count; i++) {
      float number = (float) random.nextGaussian();
      numbers[i] = Float.intBitsToFloat(Float.floatToRawIntBits(number) & 0xFFFF0000);
    }
    return numbers;
  }

  private static void assertAttended(float[] out, Layer layer, float[] queries, int rows) {
    int tokens = layer.keys.size();
    for (int row = 0; row < rows; row++) {
      for (int head = 0; head < HEADS; head++) {
        double[] expected = layer.expected(queries, row, head, tokens - rows + row + 1);
        for (int d = 0; d < DIM; d++) {
          // Weights and result have the eight bits of BF16.
          assertEquals(
              expected[d],
              out[(row * HEADS + head) * DIM + d],
              4e-3 * (1 + Math.abs(expected[d])),
              "row " + row + " of " + head);
        }
      }
    }
  }

  @Test
  void rowsThatDoNotFillTheDeviceAttendToPartsOfTheKeys() {
    try (Backend backend = new CudaBackendProvider().open(new BackendConfig(1, Map.of()));
        MemoryScope scope = backend.openScope("test")) {
      var layer = new Layer(backend, scope, 3000);
      layer.append(backend, scope, 2951);
      int rows = 41;
      float[] queries = numbers(rows * HEADS * DIM);
      Shape shape = Shape.of(rows, HEADS, DIM);
      Tensor out = scope.allocate(DType.F32, shape);
      Tensor sums = scope.allocate(DType.F32, Shape.of(HEADS, rows));
      backend
          .attention()
          .attend(
              out,
              sums,
              backend.tensorOps(scope).constant(shape, queries),
              SCALE,
              List.of(AttendSequence.causal(0, rows, layer.cache)));
      assertAttended(backend.host().copyToHostFloats(out), layer, queries, rows);
    }
  }

  /** Sequences for our own kernel, for cuDNN where it is there, and for one of each. */
  @ParameterizedTest
  @ValueSource(strings = {"200 130 41", "1100 1030", "300 1030 8", "3 1 2"})
  void severalSequencesAttendEachToItsOwnKeys(String rowsOfEach) {
    int[] rows = Arrays.stream(rowsOfEach.split(" ")).mapToInt(Integer::parseInt).toArray();
    int allRows = Arrays.stream(rows).sum();
    try (Backend backend = new CudaBackendProvider().open(new BackendConfig(1, Map.of()));
        MemoryScope scope = backend.openScope("test")) {
      var layers = new ArrayList<Layer>();
      var sequences = new ArrayList<AttendSequence>();
      int firstRow = 0;
      for (int i = 0; i < rows.length; i++) {
        // Some tokens stand before the rows' own, as a prefix does.
        var layer = new Layer(backend, scope, rows[i] + 60);
        layer.append(backend, scope, 1 + 17 * i);
        layer.append(backend, scope, rows[i]);
        layers.add(layer);
        sequences.add(AttendSequence.causal(firstRow, rows[i], layer.cache));
        firstRow += rows[i];
      }
      float[] queries = numbers(allRows * HEADS * DIM);
      Shape shape = Shape.of(allRows, HEADS, DIM);
      Tensor out = scope.allocate(DType.F32, shape);
      Tensor sums = scope.allocate(DType.F32, Shape.of(HEADS, allRows));
      backend
          .attention()
          .attend(out, sums, backend.tensorOps(scope).constant(shape, queries), SCALE, sequences);
      float[] attended = backend.host().copyToHostFloats(out);
      float[] logSumExp = backend.host().copyToHostFloats(sums);
      int rowNumbers = HEADS * DIM;
      for (int i = 0; i < rows.length; i++) {
        int first = sequences.get(i).firstRow();
        int end = first + rows[i];
        float[] own = Arrays.copyOfRange(queries, first * rowNumbers, end * rowNumbers);
        assertAttended(
            Arrays.copyOfRange(attended, first * rowNumbers, end * rowNumbers),
            layers.get(i),
            own,
            rows[i]);
        int tokens = layers.get(i).keys.size();
        for (int head = 0; head < HEADS; head++) {
          // The first and the last row of each, so that none is written to the place of another.
          for (int row : new int[] {0, rows[i] - 1}) {
            assertEquals(
                layers.get(i).logSumExp(own, row, head, tokens - rows[i] + row + 1),
                logSumExp[head * allRows + first + row],
                4e-3,
                "sequence " + i + " row " + row + " of " + head);
          }
        }
      }
    }
  }

  @Test
  void stepsThatRepeatGiveWhatEachOfThemAskedFor() {
    try (Backend backend = new CudaBackendProvider().open(new BackendConfig(1, Map.of()));
        MemoryScope scope = backend.openScope("test")) {
      List<Layer> layers =
          IntStream.range(0, 8).mapToObj(l -> new Layer(backend, scope, 700)).toList();
      layers.forEach(layer -> layer.append(backend, scope, 600));
      Shape shape = Shape.of(1, HEADS, DIM);
      Shape keyShape = Shape.of(1, KV_HEADS, DIM);
      Tensor queries = scope.allocate(DType.F32, shape);
      Tensor keys = scope.allocate(DType.F32, keyShape);
      Tensor values = scope.allocate(DType.F32, keyShape);
      Tensor position = scope.allocate(DType.I32, Shape.of(1));
      List<Tensor> outs =
          layers.stream().map(layer -> (Tensor) scope.allocate(DType.F32, shape)).toList();
      for (int step = 0; step < 12; step++) {
        if (step == 7) {
          // Somebody forgets tokens: what the device has counted holds no longer.
          for (Layer layer : layers) {
            for (int head = 0; head < KV_HEADS; head++) {
              layer.cache.setTokens(head, 601);
            }
            layer.keys.subList(601, layer.keys.size()).clear();
            layer.values.subList(601, layer.values.size()).clear();
          }
        }
        float[] newQueries = numbers(HEADS * DIM);
        float[] newKeys = numbers(KV_HEADS * DIM);
        float[] newValues = numbers(KV_HEADS * DIM);
        backend.host().copyFromHost(queries, newQueries);
        backend.host().copyFromHost(keys, newKeys);
        backend.host().copyFromHost(values, newValues);
        for (int l = 0; l < layers.size(); l++) {
          Layer layer = layers.get(l);
          backend.cache().append(layer.cache, keys, values, position);
          layer.keys.add(newKeys);
          layer.values.add(newValues);
          backend
              .attention()
              .attend(
                  outs.get(l),
                  null,
                  queries,
                  SCALE,
                  List.of(AttendSequence.causal(0, 1, layer.cache)));
        }
        for (int l = 0; l < layers.size(); l++) {
          assertAttended(
              backend.host().copyToHostFloats(outs.get(l)), layers.get(l), newQueries, 1);
        }
      }
    }
  }
}
