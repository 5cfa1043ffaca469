package org.parallelcomp.backend.onnx;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import org.parallelcomp.api.backend.MemoryScope;
import org.parallelcomp.api.backend.TensorOps;
import org.parallelcomp.api.cache.TokenSelection;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Shape;
import org.parallelcomp.api.tensor.Tensor;
import org.parallelcomp.backend.onnx.graph.ElementType;
import org.parallelcomp.backend.onnx.graph.Graph;

/**
 * The policies' arithmetic. What the runtime's operators define as this contract does are graphs;
 * what they do not (ties and NaN in top-k, NaN in maxima, ragged selections) is plain Java on the
 * same memory.
 */
final class OnnxTensorOps implements TensorOps {
  /** What {@code backends} says about operations that are no graphs. */
  static final String IN_JAVA =
      "softmax, maxima, minima, pooling, Cholesky, top-k, arg-max, selections";

  private final Sessions sessions;
  private final MemoryScope results;

  OnnxTensorOps(Sessions sessions, MemoryScope results) {
    this.sessions = sessions;
    this.results = results;
  }

  @Override
  public Tensor add(Tensor a, Tensor b) {
    return combine("Add", a, b);
  }

  @Override
  public Tensor subtract(Tensor a, Tensor b) {
    return combine("Sub", a, b);
  }

  @Override
  public Tensor multiply(Tensor a, Tensor b) {
    return combine("Mul", a, b);
  }

  @Override
  public Tensor divide(Tensor a, Tensor b) {
    return combine("Div", a, b);
  }

  @Override
  public Tensor affine(Tensor a, float factor, float term) {
    return map(
        "affine " + factor + " " + term,
        a,
        (g, x) -> g.node("Add", g.node("Mul", x, g.number(factor)), g.number(term)));
  }

  // In double precision: the runtime's functions of F32 cut off what is near overflow.

  @Override
  public Tensor exp(Tensor a) {
    return map("exp", a, (g, x) -> single(g, g.node("Exp", twice(g, x))));
  }

  @Override
  public Tensor log(Tensor a) {
    return map("log", a, (g, x) -> single(g, g.node("Log", twice(g, x))));
  }

  @Override
  public Tensor sqrt(Tensor a) {
    return map("sqrt", a, (g, x) -> g.node("Sqrt", x));
  }

  private static String twice(Graph g, String x) {
    return g.node("Cast", Map.of("to", ElementType.DOUBLE.number()), x);
  }

  private static String single(Graph g, String x) {
    return g.node("Cast", Map.of("to", ElementType.FLOAT.number()), x);
  }

  @Override
  public Tensor sum(Tensor a, int axis) {
    return reduce("ReduceSum", a, axis);
  }

  @Override
  public Tensor mean(Tensor a, int axis) {
    return reduce("ReduceMean", a, axis);
  }

  @Override
  public Tensor max(Tensor a, int axis) {
    return reduceRows(
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
    return reduceRows(
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
    return reduce("ReduceL2", a, axis);
  }

  @Override
  public Tensor softmax(Tensor a) {
    return mapRows(
        a,
        (out, in) -> {
          float max = Float.NEGATIVE_INFINITY;
          for (float x : in) {
            max = Math.max(max, x);
          }
          double sum = 0;
          for (float x : in) {
            sum += Math.exp((double) x - max);
          }
          for (int i = 0; i < in.length; i++) {
            out[i] = (float) (Math.exp((double) in[i] - max) / sum);
          }
        });
  }

  @Override
  public Tensor matmul(Tensor a, Tensor b) {
    int rows = a.shape().intDim(-2);
    int inner = a.shape().intDim(-1);
    int columns = b.shape().intDim(-1);
    if (b.shape().dim(-2) != inner) {
      throw mismatch("matmul", a.shape(), b.shape());
    }
    Shape batch = broadcast(leading(a.shape(), 2), leading(b.shape(), 2));
    Shape shape = append(append(batch, rows), columns);
    return run(
        "MatMul " + a.shape().rank() + " " + b.shape().rank(),
        shape,
        List.of(a, b),
        (g, in) -> g.node("MatMul", in.get(0), in.get(1)));
  }

  @Override
  public Tensor transpose(Tensor a, int axis, int otherAxis) {
    int rank = a.shape().rank();
    int[] order = new int[rank];
    Arrays.setAll(order, i -> i);
    int first = axis(axis, rank);
    int second = axis(otherAxis, rank);
    order[first] = second;
    order[second] = first;
    long[] dims = new long[rank];
    Arrays.setAll(dims, i -> a.shape().dim(order[i]));
    long[] perm = Arrays.stream(order).asLongStream().toArray();
    return run(
        "transpose " + a.dtype() + Arrays.toString(order),
        a.dtype(),
        Shape.of(dims),
        List.of(a),
        (g, in) -> g.node("Transpose", Map.of("perm", perm), in.getFirst()));
  }

  @Override
  public Tensor choleskySolve(Tensor a, Tensor b) {
    int n = a.shape().intDim(-1);
    int columns = b.shape().intDim(-1);
    if (a.shape().dim(-2) != n || b.shape().dim(-2) != n) {
      throw mismatch("choleskySolve", a.shape(), b.shape());
    }
    Shape batch = broadcast(leading(a.shape(), 2), leading(b.shape(), 2));
    Tensor result = results.allocate(DType.F32, append(append(batch, n), columns));
    Rows rowsA = Rows.broadcast(a, append(append(batch, n), n));
    Rows rowsB = Rows.broadcast(b, append(append(batch, n), columns));
    Rows out = Rows.floats(result);
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
  public Tensor constant(Shape shape, float[] numbers) {
    if (shape.elements() != numbers.length) {
      throw new InferenceException(
          ErrorCode.INVALID_ARGUMENT, numbers.length + " numbers do not fill " + shape + ".");
    }
    Tensor result = results.allocate(DType.F32, shape);
    Rows.floats(result.reshape(Shape.of(numbers.length))).write(0, numbers, 0);
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
    return map(
        "greater " + threshold, a, (g, x) -> single(g, g.node("Greater", x, g.number(threshold))));
  }

  @Override
  public Tensor where(Tensor mask, Tensor a, Tensor b) {
    Shape shape = broadcast(mask.shape(), broadcast(a.shape(), b.shape()));
    return run(
        "where " + mask.shape().rank() + " " + a.shape().rank() + " " + b.shape().rank(),
        shape,
        List.of(mask, a, b),
        (g, in) -> {
          String zero = g.node("Equal", in.get(0), g.number(0));
          return g.node("Where", zero, in.get(2), in.get(1));
        });
  }

  @Override
  public Tensor full(Shape shape, float value) {
    Tensor result = results.allocate(DType.F32, shape);
    Rows out = Rows.floats(result);
    float[] row = new float[out.length()];
    Arrays.fill(row, value);
    for (long i = 0; i < out.count(); i++) {
      out.write(i, row, 0);
    }
    return result;
  }

  @Override
  public Tensor range(int count) {
    Tensor result = results.allocate(DType.F32, Shape.of(count));
    float[] numbers = new float[count];
    for (int i = 0; i < count; i++) {
      numbers[i] = i;
    }
    Rows.floats(result).write(0, numbers, 0);
    return result;
  }

  @Override
  public Tensor topK(Tensor a, int count) {
    Rows in = Rows.floats(a);
    if (count < 0 || count > in.length()) {
      throw new InferenceException(
          ErrorCode.INVALID_ARGUMENT,
          "Cannot choose the " + count + " greatest of " + in.length() + " numbers.");
    }
    Tensor result = results.allocate(DType.I32, a.shape().with(-1, count));
    Rows out = Rows.ints(result);
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
    Rows in = Rows.floats(a);
    if (in.length() == 0) {
      throw new InferenceException(
          ErrorCode.INVALID_ARGUMENT, "There is no greatest among no numbers.");
    }
    Tensor result = results.allocate(DType.I32, leading(a.shape(), 1));
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
    Rows.ints(result.reshape(Shape.of(positions.length))).write(0, positions, 0);
    return result;
  }

  @Override
  public Tensor gather(Tensor a, Tensor indices) {
    Tensor result = results.allocate(a.dtype(), indices.shape());
    Rows in = Rows.any(a);
    Rows at = Rows.ints(indices);
    Rows out = Rows.any(result);
    if (in.count() != at.count()) {
      throw mismatch("gather", a.shape(), indices.shape());
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
    int a = axis(axis, first.shape().rank());
    long extent = 0;
    for (Tensor part : parts) {
      if (part.dtype() != first.dtype()
          || !part.shape().with(a, 0).equals(first.shape().with(a, 0))) {
        throw mismatch("concat", first.shape(), part.shape());
      }
      extent += part.shape().dim(a);
    }
    Tensor result = results.allocate(first.dtype(), first.shape().with(a, extent));
    long at = 0;
    for (Tensor part : parts) {
      long end = at + part.shape().dim(a);
      copyRows(Rows.any(result.slice(a, at, end)), Rows.any(part));
      at = end;
    }
    return result;
  }

  @Override
  public TokenSelection selectWhere(Tensor mask) {
    Rows in = Rows.floats(mask);
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
    Rows.ints(indices).write(0, positions, 0);
    return TokenSelection.of(tokens, kept, indices);
  }

  @Override
  public Tensor mask(TokenSelection selection) {
    if (selection.indices().isEmpty()) {
      return full(Shape.of(selection.kvHeads(), selection.tokens()), 1);
    }
    int[] positions = Rows.ints(selection.indices().get()).toInts();
    Tensor result = results.allocate(DType.F32, Shape.of(selection.kvHeads(), selection.tokens()));
    Rows out = Rows.floats(result);
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
    Rows in = Rows.floats(a);
    Rows out = Rows.floats(result);
    float[] from = new float[in.length()];
    float[] to = new float[in.length()];
    for (long row = 0; row < in.count(); row++) {
      in.read(row, from, 0);
      function.apply(to, from);
      out.write(row, to, 0);
    }
    return result;
  }

  private interface Body {
    String build(Graph graph, List<String> inputs);
  }

  private interface UnaryBody {
    String build(Graph graph, String input);
  }

  private Tensor map(String form, Tensor a, UnaryBody body) {
    return run(
        form + " " + a.shape().rank(),
        a.shape(),
        List.of(a),
        (g, in) -> body.build(g, in.getFirst()));
  }

  private Tensor combine(String operator, Tensor a, Tensor b) {
    return run(
        operator + " " + a.shape().rank() + " " + b.shape().rank(),
        broadcast(a.shape(), b.shape()),
        List.of(a, b),
        (g, in) -> g.node(operator, in.get(0), in.get(1)));
  }

  /** Reduces an axis in double precision. */
  private Tensor reduce(String operator, Tensor a, int axis) {
    int along = axis(axis, a.shape().rank());
    return run(
        operator + " " + a.shape().rank() + " " + along,
        without(a.shape(), along),
        List.of(a),
        (g, in) ->
            single(
                g,
                g.node(
                    operator, Map.of("keepdims", 0), twice(g, in.getFirst()), g.integers(along))));
  }

  private static Shape without(Shape shape, int axis) {
    long[] dims = new long[shape.rank() - 1];
    for (int i = 0; i < dims.length; i++) {
      dims[i] = shape.dim(i < axis ? i : i + 1);
    }
    return Shape.of(dims);
  }

  private Tensor run(String form, Shape shape, List<Tensor> arguments, Body body) {
    return run(form, DType.F32, shape, arguments, body);
  }

  /** Runs a graph whose extents all have names, so that only the ranks are part of its form. */
  private Tensor run(String form, DType dtype, Shape shape, List<Tensor> arguments, Body body) {
    Tensor result = results.allocate(dtype, shape);
    if (shape.elements() == 0) {
      return result;
    }
    for (Tensor argument : arguments) {
      if (argument.dtype() != dtype) {
        throw new InferenceException(
            ErrorCode.UNSUPPORTED_OPERATION,
            "The ONNX backend needs " + dtype + " here, not " + argument.dtype() + ".");
      }
    }
    ElementType type = dtype == DType.I32 ? ElementType.INT32 : ElementType.FLOAT;
    Supplier<Graph> graph =
        () -> {
          var g = new Graph(form.replaceAll("[^A-Za-z0-9.]+", "-"));
          var inputs = new ArrayList<String>();
          for (Tensor argument : arguments) {
            String name = "in" + inputs.size();
            inputs.add(g.input(name, type, names(name, argument.shape().rank())));
          }
          String out = g.named(body.build(g, inputs), "out");
          g.output(out, type, names("out", shape.rank()));
          return g;
        };
    try (var call = new Contiguous(sessions)) {
      var inputs = arguments.stream().map(argument -> call.input(argument).argument()).toList();
      sessions.run(form, graph, inputs, List.of(OnnxTensor.of(result).argument()));
    }
    return result;
  }

  private static Object[] names(String prefix, int rank) {
    return IntStream.range(0, rank).mapToObj(axis -> prefix + "_" + axis).toArray();
  }

  private Tensor reduceRows(Tensor a, int axis, RowReduction reduction) {
    int along = axis(axis, a.shape().rank());
    Tensor result = results.allocate(DType.F32, without(a.shape(), along));
    Rows in = Rows.along(a, along);
    Rows out = Rows.floats(result.reshape(Shape.of(in.count())));
    float[] row = new float[in.length()];
    float[] reduced = new float[Math.toIntExact(in.count())];
    for (int i = 0; i < reduced.length; i++) {
      in.read(i, row, 0);
      reduced[i] = (float) reduction.apply(row);
    }
    out.write(0, reduced, 0);
    return result;
  }

  /** Copies whole rows bit by bit. */
  private static void copyRows(Rows out, Rows in) {
    int[] row = new int[in.length()];
    for (long i = 0; i < in.count(); i++) {
      in.read(i, row, 0);
      out.write(i, row, 0);
    }
  }

  private static Shape broadcast(Shape a, Shape b) {
    int rank = Math.max(a.rank(), b.rank());
    long[] dims = new long[rank];
    for (int i = 1; i <= rank; i++) {
      long dimA = i <= a.rank() ? a.dim(-i) : 1;
      long dimB = i <= b.rank() ? b.dim(-i) : 1;
      if (dimA != dimB && dimA != 1 && dimB != 1) {
        throw mismatch("broadcasting", a, b);
      }
      dims[rank - i] = dimA == 1 ? dimB : dimA;
    }
    return Shape.of(dims);
  }

  private static Shape leading(Shape shape, int less) {
    return Shape.of(Arrays.copyOf(shape.toArray(), shape.rank() - less));
  }

  private static Shape append(Shape shape, long dim) {
    long[] dims = Arrays.copyOf(shape.toArray(), shape.rank() + 1);
    dims[dims.length - 1] = dim;
    return Shape.of(dims);
  }

  private static int axis(int axis, int rank) {
    if (axis < -rank || axis >= rank) {
      throw new InferenceException(
          ErrorCode.INVALID_ARGUMENT, "There is no axis " + axis + " among " + rank + ".");
    }
    return axis < 0 ? axis + rank : axis;
  }

  private static void requireOdd(int kernel) {
    if (kernel < 1 || kernel % 2 == 0) {
      throw new InferenceException(
          ErrorCode.INVALID_ARGUMENT,
          "The width of a pooling window must be odd and positive, not " + kernel + ".");
    }
  }

  private static InferenceException mismatch(String what, Shape a, Shape b) {
    return new InferenceException(
        ErrorCode.INVALID_ARGUMENT,
        "The shapes " + a + " and " + b + " do not fit for " + what + ".");
  }
}
