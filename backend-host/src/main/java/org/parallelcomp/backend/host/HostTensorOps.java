package org.parallelcomp.backend.host;

import java.util.Arrays;
import java.util.List;
import java.util.function.DoubleBinaryOperator;
import java.util.function.DoubleUnaryOperator;
import org.parallelcomp.api.backend.Arguments;
import org.parallelcomp.api.backend.MemoryScope;
import org.parallelcomp.api.backend.TensorOps;
import org.parallelcomp.api.cache.TokenSelection;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Shape;
import org.parallelcomp.api.tensor.Tensor;

/**
 * The policies' arithmetic, one row at a time and without vectors: what policies compute is small
 * beside a layer.
 */
public class HostTensorOps implements TensorOps {
  private final HostMemory memory;
  private final MemoryScope results;

  /**
   * @param results the scope of what is computed
   */
  public HostTensorOps(HostMemory memory, MemoryScope results) {
    this.memory = memory;
    this.results = results;
  }

  @Override
  public Tensor add(Tensor a, Tensor b) {
    return combine(a, b, (x, y) -> (float) x + (float) y);
  }

  @Override
  public Tensor subtract(Tensor a, Tensor b) {
    return combine(a, b, (x, y) -> (float) x - (float) y);
  }

  @Override
  public Tensor multiply(Tensor a, Tensor b) {
    return combine(a, b, (x, y) -> (float) x * (float) y);
  }

  @Override
  public Tensor divide(Tensor a, Tensor b) {
    return combine(a, b, (x, y) -> (float) x / (float) y);
  }

  @Override
  public Tensor affine(Tensor a, float factor, float term) {
    return map(a, x -> factor * (float) x + term);
  }

  @Override
  public Tensor exp(Tensor a) {
    return map(a, Math::exp);
  }

  @Override
  public Tensor log(Tensor a) {
    return map(a, Math::log);
  }

  @Override
  public Tensor sqrt(Tensor a) {
    return map(a, Math::sqrt);
  }

  @Override
  public Tensor sum(Tensor a, int axis) {
    return reduce(a, axis, HostTensorOps::sum);
  }

  @Override
  public Tensor mean(Tensor a, int axis) {
    return reduce(a, axis, row -> sum(row) / row.length);
  }

  @Override
  public Tensor max(Tensor a, int axis) {
    return reduce(
        a,
        axis,
        row -> {
          float max = Float.NEGATIVE_INFINITY;
          for (float x : row) {
            max = Math.max(max, x);
          }
          return max;
        });
  }

  @Override
  public Tensor min(Tensor a, int axis) {
    return reduce(
        a,
        axis,
        row -> {
          float min = Float.POSITIVE_INFINITY;
          for (float x : row) {
            min = Math.min(min, x);
          }
          return min;
        });
  }

  @Override
  public Tensor l2Norm(Tensor a, int axis) {
    return reduce(
        a,
        axis,
        row -> {
          double squares = 0;
          for (float x : row) {
            squares += (double) x * x;
          }
          return Math.sqrt(squares);
        });
  }

  @Override
  public Tensor softmax(Tensor a) {
    double[] exponentials = new double[a.shape().intDim(-1)];
    return mapRows(
        a,
        (out, in) -> {
          float max = Float.NEGATIVE_INFINITY;
          for (float x : in) {
            max = Math.max(max, x);
          }
          double sum = 0;
          for (int i = 0; i < in.length; i++) {
            exponentials[i] = Math.exp((double) in[i] - max);
            sum += exponentials[i];
          }
          for (int i = 0; i < in.length; i++) {
            out[i] = (float) (exponentials[i] / sum);
          }
        });
  }

  @Override
  public Tensor matmul(Tensor a, Tensor b) {
    int rows = a.shape().intDim(-2);
    int inner = a.shape().intDim(-1);
    int columns = b.shape().intDim(-1);
    Tensor result = results.allocate(DType.F32, Shapes.product(a.shape(), b.shape()));
    Shape batch = Shapes.batch(a.shape(), b.shape());
    Rows rowsA = Rows.broadcast(memory, a, Shapes.append(batch, rows, inner));
    Rows rowsB = Rows.broadcast(memory, b, Shapes.append(batch, inner, columns));
    Rows out = memory.floats(result);
    float[] rowA = new float[inner];
    float[][] matrixB = new float[inner][columns];
    float[] rowOut = new float[columns];
    double[] sums = new double[columns];
    for (long row = 0; row < out.count(); row++) {
      if (row % rows == 0) {
        // Read once for all rows of a, which are many where policies multiply.
        for (int k = 0; k < inner; k++) {
          rowsB.read(row / rows * inner + k, matrixB[k], 0);
        }
      }
      rowsA.read(row, rowA, 0);
      Arrays.fill(sums, 0);
      for (int k = 0; k < inner; k++) {
        addProduct(sums, rowA[k], matrixB[k]);
      }
      for (int column = 0; column < columns; column++) {
        rowOut[column] = (float) sums[column];
      }
      out.write(row, rowOut, 0);
    }
    return result;
  }

  /** A loop of its own, which HotSpot turns into vector instructions. */
  private static void addProduct(double[] sums, double factor, float[] row) {
    for (int i = 0; i < row.length; i++) {
      sums[i] += factor * row[i];
    }
  }

  @Override
  public Tensor choleskySolve(Tensor a, Tensor b) {
    int n = a.shape().intDim(-1);
    int columns = b.shape().intDim(-1);
    if (a.shape().dim(-2) != n || b.shape().dim(-2) != n) {
      throw Shapes.mismatch("choleskySolve", a.shape(), b.shape());
    }
    Shape batch = Shapes.batch(a.shape(), b.shape());
    Tensor result = results.allocate(DType.F32, Shapes.append(batch, n, columns));
    Rows rowsA = Rows.broadcast(memory, a, Shapes.append(batch, n, n));
    Rows rowsB = Rows.broadcast(memory, b, Shapes.append(batch, n, columns));
    Rows out = memory.floats(result);
    float[] rowA = new float[n];
    float[] rowB = new float[columns];
    double[][] lower = new double[n][n];
    double[][] x = new double[n][columns];
    for (long matrix = 0; matrix < batch.elements(); matrix++) {
      for (int i = 0; i < n; i++) {
        rowsA.read(matrix * n + i, rowA, 0);
        rowsB.read(matrix * n + i, rowB, 0);
        for (int j = 0; j <= i; j++) {
          lower[i][j] = rowA[j];
        }
        for (int column = 0; column < columns; column++) {
          x[i][column] = rowB[column];
        }
      }
      boolean positive = Cholesky.decompose(lower);
      if (positive) {
        Cholesky.substitute(lower, x);
      }
      for (int i = 0; i < n; i++) {
        for (int column = 0; column < columns; column++) {
          rowB[column] = positive ? (float) x[i][column] : Float.NaN;
        }
        out.write(matrix * n + i, rowB, 0);
      }
    }
    return result;
  }

  @Override
  public Tensor transpose(Tensor a, int axis, int otherAxis) {
    int[] order = Shapes.swapped(a.shape().rank(), axis, otherAxis);
    Tensor result = results.allocate(a.dtype(), Shapes.permuted(a.shape(), order));
    copyRows(memory.any(result), Rows.permuted(memory, a, order));
    return result;
  }

  @Override
  public Tensor averagePool1d(Tensor a, int kernel) {
    requireOdd(kernel);
    return mapRows(
        a,
        (out, in) -> {
          for (int i = 0; i < in.length; i++) {
            double sum = 0;
            int end = Math.min(i + kernel / 2, in.length - 1);
            for (int j = Math.max(0, i - kernel / 2); j <= end; j++) {
              sum += in[j];
            }
            out[i] = (float) (sum / kernel);
          }
        });
  }

  @Override
  public Tensor maxPool1d(Tensor a, int kernel) {
    requireOdd(kernel);
    return mapRows(
        a,
        (out, in) -> {
          for (int i = 0; i < in.length; i++) {
            float max = Float.NEGATIVE_INFINITY;
            int end = Math.min(i + kernel / 2, in.length - 1);
            for (int j = Math.max(0, i - kernel / 2); j <= end; j++) {
              max = Math.max(max, in[j]);
            }
            out[i] = max;
          }
        });
  }

  @Override
  public Tensor greaterThan(Tensor a, float threshold) {
    return map(a, x -> x > threshold ? 1 : 0);
  }

  @Override
  public Tensor where(Tensor mask, Tensor a, Tensor b) {
    Shape shape = Shapes.broadcast(mask.shape(), Shapes.broadcast(a.shape(), b.shape()));
    Tensor result = results.allocate(DType.F32, shape);
    Rows out = memory.floats(result);
    Rows masks = Rows.broadcast(memory, mask, shape);
    Rows rowsA = Rows.broadcast(memory, a, shape);
    Rows rowsB = Rows.broadcast(memory, b, shape);
    float[] rowMask = new float[out.length()];
    float[] rowA = new float[out.length()];
    float[] rowB = new float[out.length()];
    for (long row = 0; row < out.count(); row++) {
      masks.read(row, rowMask, 0);
      rowsA.read(row, rowA, 0);
      rowsB.read(row, rowB, 0);
      for (int i = 0; i < rowMask.length; i++) {
        rowB[i] = rowMask[i] != 0 ? rowA[i] : rowB[i];
      }
      out.write(row, rowB, 0);
    }
    return result;
  }

  @Override
  public Tensor full(Shape shape, float value) {
    Tensor result = results.allocate(DType.F32, shape);
    Rows out = memory.floats(result);
    float[] row = new float[out.length()];
    Arrays.fill(row, value);
    for (long i = 0; i < out.count(); i++) {
      out.write(i, row, 0);
    }
    return result;
  }

  @Override
  public Tensor constant(Shape shape, float[] numbers) {
    if (shape.elements() != numbers.length) {
      throw new InferenceException(
          ErrorCode.INVALID_ARGUMENT, numbers.length + " numbers do not fill " + shape + ".");
    }
    Tensor result = results.allocate(DType.F32, shape);
    if (numbers.length > 0) {
      memory.floats(result.reshape(Shape.of(numbers.length))).write(0, numbers, 0);
    }
    return result;
  }

  @Override
  public Tensor floats(Tensor a) {
    Arguments.requireFloats(a);
    return constant(a.shape(), memory.numbers(a));
  }

  @Override
  public Tensor range(int count) {
    Tensor result = results.allocate(DType.F32, Shape.of(count));
    float[] numbers = new float[count];
    for (int i = 0; i < count; i++) {
      numbers[i] = i;
    }
    memory.floats(result).write(0, numbers, 0);
    return result;
  }

  @Override
  public Tensor topK(Tensor a, int count) {
    Rows in = memory.floats(a);
    if (count < 0 || count > in.length()) {
      throw new InferenceException(
          ErrorCode.INVALID_ARGUMENT,
          "Cannot choose the " + count + " greatest of " + in.length() + " numbers.");
    }
    Tensor result = results.allocate(DType.I32, a.shape().with(-1, count));
    Rows out = memory.ints(result);
    float[] row = new float[in.length()];
    long[] order = new long[in.length()];
    int[] chosen = new int[count];
    for (long i = 0; i < in.count(); i++) {
      in.read(i, row, 0);
      for (int j = 0; j < row.length; j++) {
        // In ascending order: worse numbers first, then later positions.
        order[j] = (long) rank(row[j]) << 32 | (Integer.MAX_VALUE - j);
      }
      Arrays.sort(order);
      for (int j = 0; j < count; j++) {
        chosen[j] = Integer.MAX_VALUE - (int) order[row.length - 1 - j];
      }
      Arrays.sort(chosen);
      out.write(i, chosen, 0);
    }
    return result;
  }

  /** Returns a whole number that orders floats, NaN first, and the two zeros as equals. */
  private static int rank(float x) {
    if (Float.isNaN(x)) {
      return Integer.MIN_VALUE;
    }
    int bits = Float.floatToIntBits(x + 0f);
    return bits < 0 ? ~bits ^ Integer.MIN_VALUE : bits;
  }

  @Override
  public Tensor argMax(Tensor a) {
    Rows in = memory.floats(a);
    if (in.length() == 0) {
      throw new InferenceException(
          ErrorCode.INVALID_ARGUMENT, "There is no greatest among no numbers.");
    }
    Tensor result = results.allocate(DType.I32, Shapes.leading(a.shape(), 1));
    float[] row = new float[in.length()];
    int[] positions = new int[Math.toIntExact(in.count())];
    for (int i = 0; i < positions.length; i++) {
      in.read(i, row, 0);
      for (int j = 1; j < row.length; j++) {
        if (rank(row[j]) > rank(row[positions[i]])) {
          positions[i] = j;
        }
      }
    }
    memory.ints(result.reshape(Shape.of(positions.length))).write(0, positions, 0);
    return result;
  }

  @Override
  public Tensor gather(Tensor a, Tensor indices) {
    Tensor result = results.allocate(a.dtype(), indices.shape());
    Rows in = memory.any(a);
    Rows at = memory.ints(indices);
    Rows out = memory.any(result);
    if (in.count() != at.count()) {
      throw Shapes.mismatch("gather", a.shape(), indices.shape());
    }
    float[] row = new float[in.length()];
    int[] positions = new int[at.length()];
    float[] chosen = new float[at.length()];
    int[] rowInts = new int[in.length()];
    int[] chosenInts = new int[at.length()];
    for (long i = 0; i < in.count(); i++) {
      at.read(i, positions, 0);
      for (int position : positions) {
        if (position < 0 || position >= row.length) {
          throw new InferenceException(
              ErrorCode.INTERNAL,
              "gather asked for position " + position + " of " + row.length + ".");
        }
      }
      // Bits of whole numbers are not carried through floats, which may change those of a NaN.
      if (a.dtype() == DType.I32) {
        in.read(i, rowInts, 0);
        Arrays.setAll(chosenInts, j -> rowInts[positions[j]]);
        out.write(i, chosenInts, 0);
      } else {
        in.read(i, row, 0);
        for (int j = 0; j < positions.length; j++) {
          chosen[j] = row[positions[j]];
        }
        out.write(i, chosen, 0);
      }
    }
    return result;
  }

  @Override
  public Tensor concat(List<Tensor> parts, int axis) {
    if (parts.isEmpty()) {
      throw new InferenceException(ErrorCode.INVALID_ARGUMENT, "There is nothing to concatenate.");
    }
    Tensor first = parts.getFirst();
    int a = Shapes.axis(axis, first.shape().rank());
    long extent = 0;
    for (Tensor part : parts) {
      if (part.dtype() != first.dtype()
          || !part.shape().with(a, 0).equals(first.shape().with(a, 0))) {
        throw Shapes.mismatch("concat", first.shape(), part.shape());
      }
      extent += part.shape().dim(a);
    }
    Tensor result = results.allocate(first.dtype(), first.shape().with(a, extent));
    long at = 0;
    for (Tensor part : parts) {
      long end = at + part.shape().dim(a);
      copyRows(memory.any(result.slice(a, at, end)), memory.any(part));
      at = end;
    }
    return result;
  }

  @Override
  public TokenSelection selectWhere(Tensor mask) {
    Rows in = memory.floats(mask);
    int heads = mask.shape().intDim(0);
    int tokens = mask.shape().intDim(1);
    int[] kept = new int[heads];
    int[] positions = new int[Math.multiplyExact(heads, tokens)];
    int count = 0;
    float[] row = new float[tokens];
    for (int head = 0; head < heads; head++) {
      in.read(head, row, 0);
      for (int token = 0; token < tokens; token++) {
        if (row[token] != 0) {
          positions[count++] = token;
          kept[head]++;
        }
      }
    }
    Tensor indices = results.allocate(DType.I32, Shape.of(count));
    memory.ints(indices).write(0, positions, 0);
    return TokenSelection.of(tokens, kept, indices);
  }

  @Override
  public Tensor mask(TokenSelection selection) {
    if (selection.indices().isEmpty()) {
      return full(Shape.of(selection.kvHeads(), selection.tokens()), 1);
    }
    int[] positions = memory.ints(selection.indices().get()).toInts();
    Tensor result = results.allocate(DType.F32, Shape.of(selection.kvHeads(), selection.tokens()));
    Rows out = memory.floats(result);
    int at = 0;
    for (int head = 0; head < selection.kvHeads(); head++) {
      float[] row = new float[selection.tokens()];
      for (int i = 0; i < selection.keptTokens(head); i++) {
        row[positions[at++]] = 1;
      }
      out.write(head, row, 0);
    }
    return result;
  }

  private interface RowFunction {
    void apply(float[] out, float[] in);
  }

  private interface RowReduction {
    double apply(float[] row);
  }

  private Tensor mapRows(Tensor a, RowFunction function) {
    Tensor result = results.allocate(DType.F32, a.shape());
    Rows in = memory.floats(a);
    Rows out = memory.floats(result);
    float[] from = new float[in.length()];
    float[] to = new float[in.length()];
    for (long row = 0; row < in.count(); row++) {
      in.read(row, from, 0);
      function.apply(to, from);
      out.write(row, to, 0);
    }
    return result;
  }

  private Tensor map(Tensor a, DoubleUnaryOperator function) {
    return mapRows(
        a,
        (out, in) -> {
          for (int i = 0; i < in.length; i++) {
            out[i] = (float) function.applyAsDouble(in[i]);
          }
        });
  }

  private Tensor combine(Tensor a, Tensor b, DoubleBinaryOperator function) {
    Shape shape = Shapes.broadcast(a.shape(), b.shape());
    Tensor result = results.allocate(DType.F32, shape);
    Rows out = memory.floats(result);
    Rows rowsA = Rows.broadcast(memory, a, shape);
    Rows rowsB = Rows.broadcast(memory, b, shape);
    float[] rowA = new float[out.length()];
    float[] rowB = new float[out.length()];
    for (long row = 0; row < out.count(); row++) {
      rowsA.read(row, rowA, 0);
      rowsB.read(row, rowB, 0);
      for (int i = 0; i < rowA.length; i++) {
        rowA[i] = (float) function.applyAsDouble(rowA[i], rowB[i]);
      }
      out.write(row, rowA, 0);
    }
    return result;
  }

  private Tensor reduce(Tensor a, int axis, RowReduction reduction) {
    int along = Shapes.axis(axis, a.shape().rank());
    Tensor result = results.allocate(DType.F32, Shapes.without(a.shape(), along));
    Rows in = Rows.along(memory, a, along);
    Rows out = memory.floats(result.reshape(Shape.of(in.count())));
    float[] row = new float[in.length()];
    float[] reduced = new float[Math.toIntExact(in.count())];
    for (int i = 0; i < reduced.length; i++) {
      in.read(i, row, 0);
      reduced[i] = (float) reduction.apply(row);
    }
    out.write(0, reduced, 0);
    return result;
  }

  private static double sum(float[] row) {
    double sum = 0;
    for (float x : row) {
      sum += x;
    }
    return sum;
  }

  /** Copies whole rows bit by bit. */
  private static void copyRows(Rows out, Rows in) {
    int[] row = new int[in.length()];
    for (long i = 0; i < in.count(); i++) {
      in.read(i, row, 0);
      out.write(i, row, 0);
    }
  }

  private static void requireOdd(int kernel) {
    if (kernel < 1 || kernel % 2 == 0) {
      throw new InferenceException(
          ErrorCode.INVALID_ARGUMENT,
          "The width of a pooling window must be odd and positive, not " + kernel + ".");
    }
  }
}
