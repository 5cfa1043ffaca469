package com.example.parallelcomp;

import static com.example.parallelcomp.ScalarTensor.integers;
import static com.example.parallelcomp.ScalarTensor.numbers;
import static com.example.parallelcomp.ScalarTensor.rows;
import static com.example.parallelcomp.ScalarTensor.write;
import static com.example.parallelcomp.Vectors.dot;
import static com.example.parallelcomp.Vectors.logSumExp;

import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.function.DoubleBinaryOperator;
import java.util.function.DoubleUnaryOperator;
import java.util.function.ToDoubleFunction;
import java.util.function.UnaryOperator;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import java.util.stream.Stream;
import org.parallelcomp.api.backend.Arguments;
import org.parallelcomp.api.backend.TensorOps;
import org.parallelcomp.api.cache.TokenSelection;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Shape;
import org.parallelcomp.api.tensor.Tensor;

/** What policies are written in: each operation reads rows and makes a new tensor of rows. */
final class ScalarTensorOps implements TensorOps {
  private final ScalarScope scope;

  ScalarTensorOps(ScalarScope scope) {
    this.scope = scope;
  }

  private Tensor result(DType dtype, Shape shape, double[] numbers) {
    Tensor result = scope.allocate(dtype, shape);
    write(result, numbers);
    return result;
  }

  private Tensor result(DType dtype, Shape shape, double[][] rows) {
    Tensor result = scope.allocate(dtype, shape);
    write(result, rows);
    return result;
  }

  // Each number on its own.

  private Tensor each(Tensor a, DoubleUnaryOperator f) {
    return result(DType.F32, a.shape(), Arrays.stream(numbers(a)).map(f).toArray());
  }

  private Tensor each(Tensor a, Tensor b, DoubleBinaryOperator f) {
    Shape shape = Arguments.requireBroadcast(a.shape(), b.shape());
    double[] x = numbers(repeated(a, shape));
    double[] y = numbers(repeated(b, shape));
    Arrays.setAll(x, i -> f.applyAsDouble(x[i], y[i]));
    return result(DType.F32, shape, x);
  }

  /** Returns a view in which axes of extent 1 are repeated: nothing is copied. */
  private static Tensor repeated(Tensor a, Shape shape) {
    return ScalarTensor.of(a).view(a.layout().broadcast(shape));
  }

  @Override
  public Tensor add(Tensor a, Tensor b) {
    return each(a, b, (x, y) -> x + y);
  }

  @Override
  public Tensor subtract(Tensor a, Tensor b) {
    return each(a, b, (x, y) -> x - y);
  }

  @Override
  public Tensor multiply(Tensor a, Tensor b) {
    return each(a, b, (x, y) -> x * y);
  }

  @Override
  public Tensor divide(Tensor a, Tensor b) {
    return each(a, b, (x, y) -> x / y);
  }

  @Override
  public Tensor affine(Tensor a, float factor, float term) {
    return each(a, x -> factor * x + term);
  }

  @Override
  public Tensor exp(Tensor a) {
    return each(a, Math::exp);
  }

  @Override
  public Tensor log(Tensor a) {
    return each(a, Math::log);
  }

  @Override
  public Tensor sqrt(Tensor a) {
    return each(a, Math::sqrt);
  }

  @Override
  public Tensor greaterThan(Tensor a, float threshold) {
    return each(a, x -> x > threshold ? 1 : 0);
  }

  @Override
  public Tensor where(Tensor mask, Tensor a, Tensor b) {
    Shape ofBoth = Arguments.requireBroadcast(a.shape(), b.shape());
    Shape shape = Arguments.requireBroadcast(mask.shape(), ofBoth);
    double[] chosen = numbers(repeated(mask, shape));
    double[] x = numbers(repeated(a, shape));
    double[] y = numbers(repeated(b, shape));
    Arrays.setAll(chosen, i -> chosen[i] != 0 ? x[i] : y[i]);
    return result(DType.F32, shape, chosen);
  }

  // Lines along an axis, which becomes the innermost of a view, so that its lines are rows.

  private Tensor reduce(Tensor a, int axis, ToDoubleFunction<double[]> f) {
    int last = Arguments.requireAxis(a, axis);
    IntStream others = IntStream.range(0, a.shape().rank()).filter(each -> each != last);
    int[] axes = IntStream.concat(others, IntStream.of(last)).toArray();
    Tensor lines = permuted(a, axes);
    return result(
        DType.F32, outer(lines.shape(), 1), Stream.of(rows(lines)).mapToDouble(f).toArray());
  }

  private static Tensor permuted(Tensor a, int... axes) {
    return ScalarTensor.of(a).view(a.layout().permute(axes));
  }

  /** Returns the extents of all axes but some innermost ones. */
  private static Shape outer(Shape shape, int inner) {
    return Shape.of(Arrays.copyOf(shape.toArray(), shape.rank() - inner));
  }

  @Override
  public Tensor sum(Tensor a, int axis) {
    return reduce(a, axis, line -> Arrays.stream(line).sum());
  }

  @Override
  public Tensor mean(Tensor a, int axis) {
    return reduce(a, axis, line -> Arrays.stream(line).sum() / line.length);
  }

  @Override
  public Tensor max(Tensor a, int axis) {
    return reduce(a, axis, ScalarTensorOps::maximum);
  }

  @Override
  public Tensor min(Tensor a, int axis) {
    return reduce(a, axis, line -> Arrays.stream(line).reduce(Double.POSITIVE_INFINITY, Math::min));
  }

  @Override
  public Tensor l2Norm(Tensor a, int axis) {
    return reduce(a, axis, line -> Math.sqrt(dot(line, line)));
  }

  /** Of nothing it is negative infinity, with a NaN it is NaN. */
  private static double maximum(double[] line) {
    return Arrays.stream(line).reduce(Double.NEGATIVE_INFINITY, Math::max);
  }

  // Row by row.

  private Tensor eachRow(Tensor a, UnaryOperator<double[]> f) {
    return result(DType.F32, a.shape(), Stream.of(rows(a)).map(f).toArray(double[][]::new));
  }

  /** p_i = exp(z_i - log Σ exp z). */
  @Override
  public Tensor softmax(Tensor a) {
    return eachRow(
        a,
        z -> {
          double lse = logSumExp(z);
          return Arrays.stream(z).map(each -> Math.exp(each - lse)).toArray();
        });
  }

  @Override
  public Tensor averagePool1d(Tensor a, int kernel) {
    return pool(a, kernel, window -> Arrays.stream(window).sum() / kernel);
  }

  @Override
  public Tensor maxPool1d(Tensor a, int kernel) {
    return pool(a, kernel, ScalarTensorOps::maximum);
  }

  /** Replaces each number by a function of those at most {@code kernel / 2} away. */
  private Tensor pool(Tensor a, int kernel, ToDoubleFunction<double[]> f) {
    Arguments.requireKernel(kernel);
    return eachRow(
        a,
        row ->
            IntStream.range(0, row.length)
                .mapToDouble(
                    i -> {
                      int from = Math.max(0, i - kernel / 2);
                      int to = Math.min(row.length, i + kernel / 2 + 1);
                      return f.applyAsDouble(Arrays.copyOfRange(row, from, to));
                    })
                .toArray());
  }

  // Matrices: the two innermost axes.

  /** y_ij = Σ a_ik b_kj: row i of a times row j of b transposed. */
  @Override
  public Tensor matmul(Tensor a, Tensor b) {
    Arguments.requireMatmul(a, b);
    int rows = a.shape().intDim(-2);
    int columns = b.shape().intDim(-1);
    Shape batch = Arguments.requireBroadcast(outer(a.shape(), 2), outer(b.shape(), 2));
    double[][] x = rows(matrices(a, batch));
    double[][] y = rows(swapped(matrices(b, batch), -2, -1));
    double[][] product = new double[Math.toIntExact(batch.elements() * rows)][columns];
    for (int i = 0; i < product.length; i++) {
      int matrix = i / rows;
      for (int j = 0; j < columns; j++) {
        product[i][j] = dot(x[i], y[matrix * columns + j]);
      }
    }
    return result(DType.F32, join(batch, rows, columns), product);
  }

  /** Returns the matrices of a tensor, repeated to a batch. */
  private static Tensor matrices(Tensor a, Shape batch) {
    return repeated(a, join(batch, a.shape().dim(-2), a.shape().dim(-1)));
  }

  private static Shape join(Shape batch, long rows, long columns) {
    return Shape.of(
        LongStream.concat(Arrays.stream(batch.toArray()), LongStream.of(rows, columns)).toArray());
  }

  /** Returns a view with two axes exchanged. */
  private static Tensor swapped(Tensor a, int axis, int otherAxis) {
    int first = Arguments.requireAxis(a, axis);
    int second = Arguments.requireAxis(a, otherAxis);
    int[] axes = IntStream.range(0, a.shape().rank()).toArray();
    axes[first] = second;
    axes[second] = first;
    return permuted(a, axes);
  }

  /** a = L Lᵀ, so that a x = b is L y = b and then Lᵀ x = y. */
  @Override
  public Tensor choleskySolve(Tensor a, Tensor b) {
    Arguments.requireCholeskySolve(a, b);
    int n = a.shape().intDim(-1);
    Shape batch = Arguments.requireBroadcast(outer(a.shape(), 2), outer(b.shape(), 2));
    double[][] all = rows(matrices(a, batch));
    double[][] x = rows(matrices(b, batch));
    for (int first = 0; first < all.length; first += n) {
      double[][] lower = Arrays.copyOfRange(all, first, first + n);
      double[][] solution = Arrays.copyOfRange(x, first, first + n);
      if (decompose(lower)) {
        solve(lower, solution);
      } else {
        Stream.of(solution).forEach(row -> Arrays.fill(row, Double.NaN));
      }
    }
    return result(DType.F32, join(batch, n, b.shape().dim(-1)), x);
  }

  /** Puts L where the lower triangle of a was; false if a pivot is not above 0. */
  private static boolean decompose(double[][] a) {
    for (int j = 0; j < a.length; j++) {
      for (int i = j; i < a.length; i++) {
        for (int k = 0; k < j; k++) {
          a[i][j] -= a[i][k] * a[j][k];
        }
        if (i == j && !(a[j][j] > 0)) {
          return false;
        }
        a[i][j] = i == j ? Math.sqrt(a[j][j]) : a[i][j] / a[j][j];
      }
    }
    return true;
  }

  /** Puts the solution of L Lᵀ x = b where b was. */
  private static void solve(double[][] lower, double[][] x) {
    int n = lower.length;
    for (int column = 0; column < x[0].length; column++) {
      for (int i = 0; i < n; i++) {
        for (int k = 0; k < i; k++) {
          x[i][column] -= lower[i][k] * x[k][column];
        }
        x[i][column] /= lower[i][i];
      }
      for (int i = n - 1; i >= 0; i--) {
        for (int k = i + 1; k < n; k++) {
          x[i][column] -= lower[k][i] * x[k][column];
        }
        x[i][column] /= lower[i][i];
      }
    }
  }

  // Moving numbers, of either type.

  @Override
  public Tensor transpose(Tensor a, int axis, int otherAxis) {
    Tensor view = swapped(a, axis, otherAxis);
    return result(a.dtype(), view.shape(), numbers(view));
  }

  @Override
  public Tensor concat(List<Tensor> parts, int axis) {
    Arguments.requireConcat(parts, axis);
    Tensor first = parts.getFirst();
    long length = parts.stream().mapToLong(part -> part.shape().dim(axis)).sum();
    Tensor result = scope.allocate(first.dtype(), first.shape().with(axis, length));
    long from = 0;
    for (Tensor part : parts) {
      long to = from + part.shape().dim(axis);
      write(result.slice(axis, from, to), numbers(part));
      from = to;
    }
    return result;
  }

  @Override
  public Tensor gather(Tensor a, Tensor indices) {
    Arguments.requireGather(a, indices);
    double[][] x = rows(a);
    double[][] at = rows(indices);
    double[][] gathered = new double[x.length][];
    for (int row = 0; row < x.length; row++) {
      double[] line = x[row];
      gathered[row] = Arrays.stream(at[row]).map(i -> line[(int) i]).toArray();
    }
    return result(a.dtype(), indices.shape(), gathered);
  }

  // Making numbers.

  @Override
  public Tensor full(Shape shape, float value) {
    Tensor result = scope.allocate(DType.F32, shape);
    double[] numbers = new double[Math.toIntExact(shape.elements())];
    Arrays.fill(numbers, value);
    write(result, numbers);
    return result;
  }

  @Override
  public Tensor constant(Shape shape, float[] numbers) {
    Arguments.requireConstant(shape, numbers);
    return result(
        DType.F32,
        shape,
        IntStream.range(0, numbers.length).mapToDouble(i -> numbers[i]).toArray());
  }

  @Override
  public Tensor range(int count) {
    return result(DType.F32, Shape.of(count), IntStream.range(0, count).asDoubleStream().toArray());
  }

  // Positions and selections.

  @Override
  public Tensor topK(Tensor a, int count) {
    Arguments.requireTopK(a, count);
    return result(
        DType.I32,
        a.shape().with(-1, count),
        Stream.of(rows(a)).map(row -> best(row, count)).toArray(double[][]::new));
  }

  /** The greatest first, of equals the earlier, NaN last; then those chosen by position. */
  private static double[] best(double[] row, int count) {
    Comparator<Integer> isNumber = Comparator.comparing(i -> Double.isNaN(row[i]));
    // 0 - x and not -x, so that the two zeros are equal.
    Comparator<Integer> greatest = isNumber.thenComparing(i -> 0 - row[i]);
    return IntStream.range(0, row.length)
        .boxed()
        .sorted(greatest)
        .limit(count)
        .mapToDouble(i -> i)
        .sorted()
        .toArray();
  }

  @Override
  public Tensor argMax(Tensor a) {
    return topK(a, 1).reshape(outer(a.shape(), 1));
  }

  @Override
  public TokenSelection selectWhere(Tensor mask) {
    double[][] heads = rows(mask);
    int[] kept = new int[heads.length];
    var positions = IntStream.builder();
    for (int h = 0; h < heads.length; h++) {
      for (int t = 0; t < heads[h].length; t++) {
        if (heads[h][t] != 0) {
          kept[h]++;
          positions.add(t);
        }
      }
    }
    double[] indices = positions.build().asDoubleStream().toArray();
    return TokenSelection.of(
        mask.shape().intDim(1), kept, result(DType.I32, Shape.of(indices.length), indices));
  }

  @Override
  public Tensor mask(TokenSelection selection) {
    double[][] mask = new double[selection.kvHeads()][selection.tokens()];
    if (selection.keepsEverything()) {
      Stream.of(mask).forEach(head -> Arrays.fill(head, 1));
    } else {
      int[] indices = integers(selection.indices().orElseThrow());
      int next = 0;
      for (int h = 0; h < mask.length; h++) {
        for (int i = 0; i < selection.keptTokens(h); i++) {
          mask[h][indices[next++]] = 1;
        }
      }
    }
    return result(DType.F32, Shape.of(selection.kvHeads(), selection.tokens()), mask);
  }
}
