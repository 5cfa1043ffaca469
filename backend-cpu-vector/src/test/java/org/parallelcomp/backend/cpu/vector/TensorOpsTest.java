package org.parallelcomp.backend.cpu.vector;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.parallelcomp.api.backend.TensorOps;
import org.parallelcomp.api.cache.TokenSelection;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Shape;
import org.parallelcomp.api.tensor.Tensor;

class TensorOpsTest {
  private static final float NAN = Float.NaN;
  private static final float INFINITY = Float.POSITIVE_INFINITY;

  private final Fixture f = new Fixture(17);
  private final TensorOps ops = f.backend.tensorOps(f.scope);

  @AfterEach
  void close() {
    f.close();
  }

  @Test
  void binaryOperationsBroadcast() {
    Tensor matrix = f.tensor(new float[] {1, 2, 3, 4, 5, 6}, 2, 3);
    Tensor row = f.tensor(new float[] {10, 20, 30}, 3);
    Tensor column = f.tensor(new float[] {2, 4}, 2, 1);
    assertTensor(ops.add(matrix, row), Shape.of(2, 3), 11, 22, 33, 14, 25, 36);
    assertTensor(ops.subtract(row, matrix), Shape.of(2, 3), 9, 18, 27, 6, 15, 24);
    assertTensor(ops.multiply(matrix, column), Shape.of(2, 3), 2, 4, 6, 16, 20, 24);
    assertTensor(ops.divide(matrix, column), Shape.of(2, 3), .5f, 1, 1.5f, 1, 1.25f, 1.5f);
    assertTensor(ops.add(column, row), Shape.of(2, 3), 12, 22, 32, 14, 24, 34);
    assertTensor(ops.add(f.tensor(new float[] {1}), row), Shape.of(3), 11, 21, 31);
    assertThrows(InferenceException.class, () -> ops.add(matrix, f.zeros(2)));
  }

  @Test
  void elementwiseFunctions() {
    Tensor a = f.tensor(new float[] {0, 1, 4, NAN}, 4);
    assertTensor(ops.affine(a, 3, -1), Shape.of(4), -1, 2, 11, NAN);
    assertTensor(ops.exp(a), Shape.of(4), 1, (float) Math.E, (float) Math.exp(4), NAN);
    assertTensor(ops.log(a), Shape.of(4), Float.NEGATIVE_INFINITY, 0, (float) Math.log(4), NAN);
    assertTensor(ops.sqrt(a), Shape.of(4), 0, 1, 2, NAN);
    assertTensor(ops.greaterThan(a, 1), Shape.of(4), 0, 0, 1, 0);
    Tensor mask = f.tensor(new float[] {1, 0}, 2, 1);
    assertTensor(
        ops.where(mask, a, f.tensor(new float[] {-1}, 1)),
        Shape.of(2, 4),
        0,
        1,
        4,
        NAN,
        -1,
        -1,
        -1,
        -1);
  }

  @Test
  void reductionsRemoveTheirAxis() {
    float[] numbers = f.numbers(2 * 3 * 5);
    Tensor a = f.tensor(numbers, 2, 3, 5);
    for (int axis = -3; axis < 3; axis++) {
      int along = Math.floorMod(axis, 3);
      int[] dims = {2, 3, 5};
      int length = dims[along];
      int inner = along == 2 ? 1 : along == 1 ? 5 : 15;
      int outer = 30 / length;
      double[][] expected = new double[5][outer];
      for (int i = 0; i < outer; i++) {
        int start = i / inner * inner * length + i % inner;
        double[] row =
            IntStream.range(0, length).mapToDouble(j -> numbers[start + j * inner]).toArray();
        expected[0][i] = Arrays.stream(row).sum();
        expected[1][i] = expected[0][i] / length;
        expected[2][i] = Arrays.stream(row).max().orElseThrow();
        expected[3][i] = Arrays.stream(row).min().orElseThrow();
        expected[4][i] = Math.sqrt(Arrays.stream(row).map(x -> x * x).sum());
      }
      List<Tensor> actual =
          List.of(
              ops.sum(a, axis),
              ops.mean(a, axis),
              ops.max(a, axis),
              ops.min(a, axis),
              ops.l2Norm(a, axis));
      for (int i = 0; i < 5; i++) {
        f.assertClose(expected[i], f.floats(actual.get(i)), 1e-7, i + " along " + axis);
        assertEquals(2, actual.get(i).shape().rank());
      }
    }
    assertThrows(InferenceException.class, () -> ops.sum(a, 3));
  }

  @Test
  void sumsAreDoubleAndExtremesKeepNaN() {
    float[] numbers = new float[100_001];
    Arrays.fill(numbers, 1e-4f);
    numbers[0] = 1e4f;
    double exact = 1e4 + 100_000 * (double) 1e-4f;
    assertTensor(ops.sum(f.tensor(numbers, 100_001), 0), Shape.of(), (float) exact);
    Tensor a = f.tensor(new float[] {1, NAN, 2, -3, 5, 4}, 2, 3);
    assertTensor(ops.max(a, 1), Shape.of(2), NAN, 5);
    assertTensor(ops.min(a, -1), Shape.of(2), NAN, -3);
  }

  @Test
  void softmaxSurvivesLargeNumbers() {
    Tensor a = f.tensor(new float[] {1000, 1000, Float.NEGATIVE_INFINITY, 0, 1, 2}, 2, 3);
    double sum = 1 + Math.E + Math.exp(2);
    assertTensor(
        ops.softmax(a),
        Shape.of(2, 3),
        .5f,
        .5f,
        0,
        (float) (1 / sum),
        (float) (Math.E / sum),
        (float) (Math.exp(2) / sum));
  }

  @Test
  void matmulBroadcastsLeadingAxes() {
    float[] a = f.numbers(3 * 2 * 4 * 6);
    float[] b = f.numbers(2 * 6 * 5);
    Tensor product = ops.matmul(f.tensor(a, 3, 2, 4, 6), f.tensor(b, 2, 6, 5));
    assertEquals(Shape.of(3, 2, 4, 5), product.shape());
    double[] expected = new double[3 * 2 * 4 * 5];
    for (int i = 0; i < expected.length; i++) {
      int column = i % 5;
      int row = i / 5;
      int batch = row / 4 % 2;
      for (int k = 0; k < 6; k++) {
        expected[i] += (double) a[row * 6 + k] * b[(batch * 6 + k) * 5 + column];
      }
    }
    f.assertClose(expected, f.floats(product), 1e-7, "matmul");
    assertThrows(InferenceException.class, () -> ops.matmul(f.zeros(2, 3), f.zeros(2, 3)));
  }

  @Test
  void transposeAndViewsAndConcat() {
    Tensor a = f.tensor(new float[] {1, 2, 3, 4, 5, 6}, 2, 3);
    assertTensor(ops.transpose(a, 0, -1), Shape.of(3, 2), 1, 4, 2, 5, 3, 6);
    Tensor view = a.slice(1, 1, 3);
    assertTensor(ops.add(view, view), Shape.of(2, 2), 4, 6, 10, 12);
    assertTensor(ops.sum(view, 0), Shape.of(2), 7, 9);
    assertTensor(ops.concat(List.of(a, view), 1), Shape.of(2, 5), 1, 2, 3, 2, 3, 4, 5, 6, 5, 6);
    assertTensor(
        ops.concat(List.of(a, a.slice(0, 1, 2)), 0), Shape.of(3, 3), 1, 2, 3, 4, 5, 6, 4, 5, 6);
    assertThrows(InferenceException.class, () -> ops.concat(List.of(a, view), 0));
    assertTrue(ops.transpose(a, 0, 1).layout().isContiguous());
  }

  @Test
  void poolsOverCentredWindows() {
    Tensor a = f.tensor(new float[] {3, 6, 9, -12, -1, -2, -4, -8}, 2, 4);
    assertTensor(ops.averagePool1d(a, 3), Shape.of(2, 4), 3, 6, 1, -1, -1, -7 / 3f, -14 / 3f, -4);
    assertTensor(ops.maxPool1d(a, 3), Shape.of(2, 4), 6, 9, 9, 9, -1, -1, -2, -4);
    assertTensor(ops.maxPool1d(a, 9), Shape.of(2, 4), 9, 9, 9, 9, -1, -1, -1, -1);
    assertThrows(InferenceException.class, () -> ops.maxPool1d(a, 2));
  }

  @Test
  void topKPrefersEarlierPositionsAndNeverNaN() {
    Tensor a = f.tensor(new float[] {1, 7, NAN, 7, 7, -INFINITY, 0, -0f, 0, -0f, NAN, -1}, 2, 6);
    assertInts(ops.topK(a, 2), Shape.of(2, 2), 1, 3, 0, 1);
    assertInts(ops.topK(a, 4), Shape.of(2, 4), 0, 1, 3, 4, 0, 1, 2, 3);
    assertInts(ops.topK(a, 5), Shape.of(2, 5), 0, 1, 3, 4, 5, 0, 1, 2, 3, 5);
    assertInts(ops.topK(a, 0), Shape.of(2, 0));
    assertInts(ops.topK(a, 6), Shape.of(2, 6), 0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5);
    assertInts(ops.argMax(a), Shape.of(2), 1, 0);
    assertThrows(InferenceException.class, () -> ops.topK(a, 7));
  }

  @Test
  void topKEqualsSorting() {
    float[] numbers = new float[3000];
    for (int i = 0; i < numbers.length; i++) {
      numbers[i] = Math.round(f.random.nextGaussian() * 40) / 8f;
    }
    int[] expected =
        IntStream.range(0, 3000)
            .boxed()
            .sorted(
                (i, j) ->
                    numbers[i] != numbers[j]
                        ? Float.compare(numbers[j], numbers[i])
                        : Integer.compare(i, j))
            .limit(1234)
            .mapToInt(i -> i)
            .sorted()
            .toArray();
    assertArrayEquals(expected, f.integers(ops.topK(f.tensor(numbers, 3000), 1234)));
  }

  @Test
  void gathersByPosition() {
    Tensor a = f.tensor(new float[] {1, 2, 3, 4, 5, 6}, 2, 3);
    Tensor indices = f.ints(2, 0, 1, 1).reshape(Shape.of(2, 2));
    assertTensor(ops.gather(a, indices), Shape.of(2, 2), 3, 1, 5, 5);
    Tensor whole = f.ints(7, 8, 9, 10, 11, 12).reshape(Shape.of(2, 3));
    assertInts(ops.gather(whole, indices), Shape.of(2, 2), 9, 7, 11, 11);
    assertThrows(
        InferenceException.class, () -> ops.gather(a, f.ints(0, 3).reshape(Shape.of(2, 1))));
  }

  @Test
  void masksAndSelectionsAreInverse() {
    Tensor mask = f.tensor(new float[] {1, 0, .5f, 0, 0, 0, 0, 0, NAN, -1}, 2, 5);
    TokenSelection selection = ops.selectWhere(mask);
    assertArrayEquals(new int[] {2, 2}, selection.keptTokens());
    assertArrayEquals(new int[] {0, 2, 3, 4}, f.integers(selection.indices().orElseThrow()));
    assertTensor(ops.mask(selection), Shape.of(2, 5), 1, 0, 1, 0, 0, 0, 0, 0, 1, 1);
    assertTensor(ops.mask(TokenSelection.everything(1, 2)), Shape.of(1, 2), 1, 1);
    assertEquals(0, ops.selectWhere(f.zeros(2, 3)).keptTokens(1));
    assertTensor(ops.full(Shape.of(2), 3), Shape.of(2), 3, 3);
    assertTensor(ops.range(3), Shape.of(3), 0, 1, 2);
  }

  private void assertTensor(Tensor actual, Shape shape, float... expected) {
    assertEquals(DType.F32, actual.dtype());
    assertEquals(shape, actual.shape());
    assertTrue(actual.layout().isContiguous());
    assertArrayEquals(expected, f.floats(actual), 1e-6f);
  }

  private void assertInts(Tensor actual, Shape shape, int... expected) {
    assertEquals(DType.I32, actual.dtype());
    assertEquals(shape, actual.shape());
    assertArrayEquals(expected, f.integers(actual));
  }
}
