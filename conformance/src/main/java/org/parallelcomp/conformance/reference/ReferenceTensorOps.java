package org.parallelcomp.conformance.reference;

import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.function.DoubleBinaryOperator;
import java.util.function.DoubleUnaryOperator;
import java.util.function.ToDoubleFunction;
import java.util.stream.IntStream;
import org.parallelcomp.api.backend.Arguments;
import org.parallelcomp.api.backend.TensorOps;
import org.parallelcomp.api.cache.TokenSelection;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Shape;
import org.parallelcomp.api.tensor.Tensor;

/** Each operation on dense copies of its arguments. */
final class ReferenceTensorOps implements TensorOps {
  private final ReferenceScope scope;

  ReferenceTensorOps(ReferenceScope scope) {
    this.scope = scope;
  }

  private Tensor result(DType dtype, Shape shape, double[] values) {
    Tensor result = scope.allocate(dtype, shape);
    ReferenceTensor.write(result, values);
    return result;
  }

  private Tensor result(Shape shape, double[] values) {
    return result(DType.F32, shape, values);
  }

  // ---- element by element ----

  /** Returns a tensor's numbers repeated to a shape, in row-major order. */
  private static double[] expanded(Tensor a, Shape shape) {
    double[] source = ReferenceTensor.read(a);
    double[] expanded = new double[Math.toIntExact(shape.elements())];
    for (int i = 0; i < expanded.length; i++) {
      long rest = i;
      long at = 0;
      long stride = 1;
      for (int axis = 1; axis <= a.shape().rank(); axis++) {
        long index = rest % shape.dim(-axis);
        rest /= shape.dim(-axis);
        at += a.shape().dim(-axis) == 1 ? 0 : index * stride;
        stride *= a.shape().dim(-axis);
      }
      expanded[i] = source[(int) at];
    }
    return expanded;
  }

  private Tensor binary(Tensor a, Tensor b, DoubleBinaryOperator operator) {
    Shape shape = Arguments.requireBroadcast(a.shape(), b.shape());
    double[] left = expanded(a, shape);
    double[] right = expanded(b, shape);
    return result(
        shape,
        IntStream.range(0, left.length)
            .mapToDouble(i -> operator.applyAsDouble(left[i], right[i]))
            .toArray());
  }

  private Tensor unary(Tensor a, DoubleUnaryOperator operator) {
    return result(a.shape(), Arrays.stream(ReferenceTensor.read(a)).map(operator).toArray());
  }

  @Override
  public Tensor add(Tensor a, Tensor b) {
    return binary(a, b, (x, y) -> x + y);
  }

  @Override
  public Tensor subtract(Tensor a, Tensor b) {
    return binary(a, b, (x, y) -> x - y);
  }

  @Override
  public Tensor multiply(Tensor a, Tensor b) {
    return binary(a, b, (x, y) -> x * y);
  }

  @Override
  public Tensor divide(Tensor a, Tensor b) {
    return binary(a, b, (x, y) -> x / y);
  }

  @Override
  public Tensor affine(Tensor a, float factor, float term) {
    return unary(a, x -> factor * x + term);
  }

  @Override
  public Tensor exp(Tensor a) {
    return unary(a, Math::exp);
  }

  @Override
  public Tensor log(Tensor a) {
    return unary(a, Math::log);
  }

  @Override
  public Tensor sqrt(Tensor a) {
    return unary(a, Math::sqrt);
  }

  @Override
  public Tensor greaterThan(Tensor a, float threshold) {
    return unary(a, x -> x > threshold ? 1 : 0);
  }

  @Override
  public Tensor where(Tensor mask, Tensor a, Tensor b) {
    Shape shape =
        Arguments.requireBroadcast(mask.shape(), Arguments.requireBroadcast(a.shape(), b.shape()));
    double[] choice = expanded(mask, shape);
    double[] left = expanded(a, shape);
    double[] right = expanded(b, shape);
    return result(
        shape,
        IntStream.range(0, choice.length)
            .mapToDouble(i -> choice[i] != 0 ? left[i] : right[i])
            .toArray());
  }

  // ---- along an axis ----

  /** Returns the tensor with an axis taken out, each line along it becoming one number. */
  private Tensor reduce(Tensor a, int axis, ToDoubleFunction<double[]> reduction) {
    int positive = Arguments.requireAxis(a, axis);
    int length = a.shape().intDim(positive);
    long[] dims = a.shape().toArray();
    int inner = (int) Arrays.stream(dims, positive + 1, dims.length).reduce(1, (x, y) -> x * y);
    long[] left =
        IntStream.range(0, dims.length)
            .filter(d -> d != positive)
            .mapToLong(d -> dims[d])
            .toArray();
    double[] values = ReferenceTensor.read(a);
    double[] out = new double[(int) Shape.of(left).elements()];
    for (int i = 0; i < out.length; i++) {
      int first = i / inner * length * inner + i % inner;
      out[i] =
          reduction.applyAsDouble(
              IntStream.range(0, length).mapToDouble(j -> values[first + j * inner]).toArray());
    }
    return result(Shape.of(left), out);
  }

  @Override
  public Tensor sum(Tensor a, int axis) {
    return reduce(a, axis, ReferenceTensorOps::total);
  }

  @Override
  public Tensor mean(Tensor a, int axis) {
    return reduce(a, axis, line -> total(line) / line.length);
  }

  @Override
  public Tensor max(Tensor a, int axis) {
    return reduce(a, axis, line -> fold(line, Double.NEGATIVE_INFINITY, Math::max));
  }

  @Override
  public Tensor min(Tensor a, int axis) {
    return reduce(a, axis, line -> fold(line, Double.POSITIVE_INFINITY, Math::min));
  }

  @Override
  public Tensor l2Norm(Tensor a, int axis) {
    return reduce(a, axis, line -> Math.sqrt(fold(line, 0, (sum, x) -> sum + x * x)));
  }

  private static double total(double[] line) {
    return fold(line, 0, Double::sum);
  }

  private static double fold(double[] line, double start, DoubleBinaryOperator operator) {
    double value = start;
    for (double x : line) {
      value = operator.applyAsDouble(value, x);
    }
    return value;
  }

  @Override
  public Tensor softmax(Tensor a) {
    double[] values = ReferenceTensor.read(a);
    int length = a.shape().intDim(-1);
    for (int from = 0; from < values.length; from += length) {
      double[] line = Arrays.copyOfRange(values, from, from + length);
      double max = fold(line, Double.NEGATIVE_INFINITY, Math::max);
      double sum = Arrays.stream(line).map(x -> Math.exp(x - max)).sum();
      for (int i = 0; i < length; i++) {
        values[from + i] = Math.exp(line[i] - max) / sum;
      }
    }
    return result(a.shape(), values);
  }

  // ---- shape and products ----

  @Override
  public Tensor matmul(Tensor a, Tensor b) {
    Arguments.requireMatmul(a, b);
    int rows = a.shape().intDim(-2);
    int inner = a.shape().intDim(-1);
    int columns = b.shape().intDim(-1);
    Shape batch = Arguments.requireBroadcast(leading(a.shape()), leading(b.shape()));
    double[] left = expanded(a, join(batch, rows, inner));
    double[] right = expanded(b, join(batch, inner, columns));
    double[] out = new double[Math.toIntExact(batch.elements()) * rows * columns];
    for (int i = 0; i < out.length; i++) {
      int column = i % columns;
      int row = i / columns;
      int firstOfB = row / rows * inner * columns;
      for (int k = 0; k < inner; k++) {
        out[i] += left[row * inner + k] * right[firstOfB + k * columns + column];
      }
    }
    return result(join(batch, rows, columns), out);
  }

  @Override
  public Tensor choleskySolve(Tensor a, Tensor b) {
    Arguments.requireCholeskySolve(a, b);
    int n = a.shape().intDim(-1);
    int columns = b.shape().intDim(-1);
    Shape batch = Arguments.requireBroadcast(leading(a.shape()), leading(b.shape()));
    double[] matrices = expanded(a, join(batch, n, n));
    double[] x = expanded(b, join(batch, n, columns));
    for (int matrix = 0; matrix < batch.elements(); matrix++) {
      double[] lower = Arrays.copyOfRange(matrices, matrix * n * n, (matrix + 1) * n * n);
      boolean positive = decompose(lower, n);
      for (int column = 0; column < columns; column++) {
        int at = matrix * n * columns + column;
        // L y = b, then Lᵀ x = y.
        for (int i = 0; i < n; i++) {
          for (int k = 0; k < i; k++) {
            x[at + i * columns] -= lower[i * n + k] * x[at + k * columns];
          }
          x[at + i * columns] /= lower[i * n + i];
        }
        for (int i = n - 1; i >= 0; i--) {
          for (int k = i + 1; k < n; k++) {
            x[at + i * columns] -= lower[k * n + i] * x[at + k * columns];
          }
          x[at + i * columns] = positive ? x[at + i * columns] / lower[i * n + i] : Double.NaN;
        }
      }
    }
    return result(join(batch, n, columns), x);
  }

  /** L with {@code L Lᵀ = a} in place of a's lower triangle; false where a pivot is not above 0. */
  private static boolean decompose(double[] a, int n) {
    for (int j = 0; j < n; j++) {
      double pivot = a[j * n + j];
      for (int k = 0; k < j; k++) {
        pivot -= a[j * n + k] * a[j * n + k];
      }
      if (!(pivot > 0)) {
        return false;
      }
      a[j * n + j] = Math.sqrt(pivot);
      for (int i = j + 1; i < n; i++) {
        for (int k = 0; k < j; k++) {
          a[i * n + j] -= a[i * n + k] * a[j * n + k];
        }
        a[i * n + j] /= a[j * n + j];
      }
    }
    return true;
  }

  private static Shape leading(Shape shape) {
    return Shape.of(Arrays.copyOf(shape.toArray(), shape.rank() - 2));
  }

  private static Shape join(Shape batch, long rows, long columns) {
    long[] dims = Arrays.copyOf(batch.toArray(), batch.rank() + 2);
    dims[batch.rank()] = rows;
    dims[batch.rank() + 1] = columns;
    return Shape.of(dims);
  }

  @Override
  public Tensor transpose(Tensor a, int axis, int otherAxis) {
    int first = Arguments.requireAxis(a, axis);
    int second = Arguments.requireAxis(a, otherAxis);
    Shape shape = a.shape().with(first, a.shape().dim(second)).with(second, a.shape().dim(first));
    double[] values = ReferenceTensor.read(a);
    double[] out = new double[values.length];
    for (int i = 0; i < out.length; i++) {
      long[] index = index(shape, i);
      long kept = index[first];
      index[first] = index[second];
      index[second] = kept;
      out[i] = values[flat(a.shape(), index)];
    }
    return result(a.dtype(), shape, out);
  }

  @Override
  public Tensor concat(List<Tensor> parts, int axis) {
    Arguments.requireConcat(parts, axis);
    Shape first = parts.getFirst().shape();
    int positive = Arguments.requireAxis(parts.getFirst(), axis);
    Shape shape = first.with(positive, parts.stream().mapToLong(p -> p.shape().dim(axis)).sum());
    double[] out = new double[Math.toIntExact(shape.elements())];
    long offset = 0;
    for (Tensor part : parts) {
      double[] values = ReferenceTensor.read(part);
      for (int i = 0; i < values.length; i++) {
        long[] index = index(part.shape(), i);
        index[positive] += offset;
        out[flat(shape, index)] = values[i];
      }
      offset += part.shape().dim(axis);
    }
    return result(parts.getFirst().dtype(), shape, out);
  }

  private static long[] index(Shape shape, long flat) {
    long[] index = new long[shape.rank()];
    long rest = flat;
    for (int axis = index.length - 1; axis >= 0; axis--) {
      index[axis] = rest % shape.dim(axis);
      rest /= shape.dim(axis);
    }
    return index;
  }

  private static int flat(Shape shape, long[] index) {
    long at = 0;
    for (int axis = 0; axis < index.length; axis++) {
      at = at * shape.dim(axis) + index[axis];
    }
    return Math.toIntExact(at);
  }

  // ---- neighbours ----

  @Override
  public Tensor averagePool1d(Tensor a, int kernel) {
    return pool(a, kernel, window -> total(window) / kernel);
  }

  @Override
  public Tensor maxPool1d(Tensor a, int kernel) {
    return pool(a, kernel, window -> fold(window, Double.NEGATIVE_INFINITY, Math::max));
  }

  private Tensor pool(Tensor a, int kernel, ToDoubleFunction<double[]> reduction) {
    Arguments.requireKernel(kernel);
    double[] values = ReferenceTensor.read(a);
    int length = a.shape().intDim(-1);
    double[] out = new double[values.length];
    for (int i = 0; i < out.length; i++) {
      int row = i / length * length;
      int from = Math.max(row, i - kernel / 2);
      int to = Math.min(row + length, i + kernel / 2 + 1);
      out[i] = reduction.applyAsDouble(Arrays.copyOfRange(values, from, to));
    }
    return result(a.shape(), out);
  }

  // ---- positions ----

  @Override
  public Tensor full(Shape shape, float value) {
    Tensor result = scope.allocate(DType.F32, shape);
    double[] values = new double[Math.toIntExact(shape.elements())];
    Arrays.fill(values, value);
    ReferenceTensor.write(result, values);
    return result;
  }

  @Override
  public Tensor constant(Shape shape, float[] numbers) {
    Arguments.requireConstant(shape, numbers);
    return result(shape, IntStream.range(0, numbers.length).mapToDouble(i -> numbers[i]).toArray());
  }

  @Override
  public Tensor floats(Tensor a) {
    Arguments.requireFloats(a);
    return result(a.shape(), ReferenceTensor.read(a));
  }

  @Override
  public Tensor range(int count) {
    return result(Shape.of(count), IntStream.range(0, count).asDoubleStream().toArray());
  }

  @Override
  public Tensor topK(Tensor a, int count) {
    Arguments.requireTopK(a, count);
    int length = a.shape().intDim(-1);
    double[] values = ReferenceTensor.read(a);
    Shape shape = a.shape().with(-1, count);
    double[] out = new double[Math.toIntExact(shape.elements())];
    for (int row = 0; count > 0 && row < out.length / count; row++) {
      int[] best = ranked(values, row * length, length).limit(count).sorted().toArray();
      for (int i = 0; i < count; i++) {
        out[row * count + i] = best[i];
      }
    }
    return result(DType.I32, shape, out);
  }

  /** Positions from the greatest to the least number; of equals the earlier first, NaN last. */
  private static IntStream ranked(double[] values, int from, int length) {
    Comparator<Integer> order =
        Comparator.comparing((Integer i) -> Double.isNaN(values[from + i]))
            // Adding zero makes -0 equal to 0.
            .thenComparing(i -> values[from + i] + 0.0, Comparator.reverseOrder());
    return IntStream.range(0, length).boxed().sorted(order).mapToInt(i -> i);
  }

  @Override
  public Tensor argMax(Tensor a) {
    Shape shape = Shape.of(Arrays.copyOf(a.shape().toArray(), a.shape().rank() - 1));
    return topK(a, 1).reshape(shape);
  }

  @Override
  public Tensor gather(Tensor a, Tensor indices) {
    Arguments.requireGather(a, indices);
    int length = a.shape().intDim(-1);
    int count = indices.shape().intDim(-1);
    double[] values = ReferenceTensor.read(a);
    int[] at = ReferenceTensor.readInts(indices);
    double[] out = new double[at.length];
    for (int i = 0; i < out.length; i++) {
      out[i] = values[i / count * length + at[i]];
    }
    return result(a.dtype(), indices.shape(), out);
  }

  // ---- selections ----

  @Override
  public TokenSelection selectWhere(Tensor mask) {
    int heads = mask.shape().intDim(0);
    int tokens = mask.shape().intDim(1);
    double[] values = ReferenceTensor.read(mask);
    int[] kept = new int[heads];
    var indices = IntStream.builder();
    for (int i = 0; i < values.length; i++) {
      if (values[i] != 0) {
        kept[i / tokens]++;
        indices.add(i % tokens);
      }
    }
    double[] all = indices.build().asDoubleStream().toArray();
    return TokenSelection.of(tokens, kept, result(DType.I32, Shape.of(all.length), all));
  }

  @Override
  public Tensor mask(TokenSelection selection) {
    int tokens = selection.tokens();
    double[] out = new double[selection.kvHeads() * tokens];
    if (selection.indices().isEmpty()) {
      Arrays.fill(out, 1);
    } else {
      int[] indices = ReferenceTensor.readInts(selection.indices().get());
      int next = 0;
      for (int h = 0; h < selection.kvHeads(); h++) {
        for (int i = 0; i < selection.keptTokens(h); i++) {
          out[h * tokens + indices[next++]] = 1;
        }
      }
    }
    return result(Shape.of(selection.kvHeads(), tokens), out);
  }
}
