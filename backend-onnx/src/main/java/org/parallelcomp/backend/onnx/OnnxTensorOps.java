package org.parallelcomp.backend.onnx;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import org.parallelcomp.api.backend.MemoryScope;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Shape;
import org.parallelcomp.api.tensor.Tensor;
import org.parallelcomp.backend.host.HostTensorOps;
import org.parallelcomp.backend.host.Shapes;
import org.parallelcomp.backend.onnx.graph.ElementType;
import org.parallelcomp.backend.onnx.graph.Graph;

/**
 * The policies' arithmetic. What the runtime's operators define as this contract does are graphs;
 * what they do not (ties and NaN in top-k, NaN in maxima, ragged selections) is inherited, in plain
 * Java on the same memory.
 */
final class OnnxTensorOps extends HostTensorOps {
  /** What {@code backends} says about operations that are no graphs. */
  static final String IN_JAVA =
      "softmax, maxima, minima, pooling, Cholesky, top-k, arg-max, selections";

  private final Sessions sessions;
  private final MemoryScope results;

  OnnxTensorOps(Sessions sessions, MemoryScope results) {
    super(sessions.memory(), results);
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
  public Tensor l2Norm(Tensor a, int axis) {
    return reduce("ReduceL2", a, axis);
  }

  @Override
  public Tensor matmul(Tensor a, Tensor b) {
    return run(
        "MatMul " + a.shape().rank() + " " + b.shape().rank(),
        Shapes.product(a.shape(), b.shape()),
        List.of(a, b),
        (g, in) -> g.node("MatMul", in.get(0), in.get(1)));
  }

  @Override
  public Tensor transpose(Tensor a, int axis, int otherAxis) {
    int[] order = Shapes.swapped(a.shape().rank(), axis, otherAxis);
    long[] perm = Arrays.stream(order).asLongStream().toArray();
    return run(
        "transpose " + a.dtype() + Arrays.toString(order),
        a.dtype(),
        Shapes.permuted(a.shape(), order),
        List.of(a),
        (g, in) -> g.node("Transpose", Map.of("perm", perm), in.getFirst()));
  }

  @Override
  public Tensor greaterThan(Tensor a, float threshold) {
    return map(
        "greater " + threshold, a, (g, x) -> single(g, g.node("Greater", x, g.number(threshold))));
  }

  @Override
  public Tensor where(Tensor mask, Tensor a, Tensor b) {
    Shape shape = Shapes.broadcast(mask.shape(), Shapes.broadcast(a.shape(), b.shape()));
    return run(
        "where " + mask.shape().rank() + " " + a.shape().rank() + " " + b.shape().rank(),
        shape,
        List.of(mask, a, b),
        (g, in) -> {
          String zero = g.node("Equal", in.get(0), g.number(0));
          return g.node("Where", zero, in.get(2), in.get(1));
        });
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
        Shapes.broadcast(a.shape(), b.shape()),
        List.of(a, b),
        (g, in) -> g.node(operator, in.get(0), in.get(1)));
  }

  /** Reduces an axis in double precision. */
  private Tensor reduce(String operator, Tensor a, int axis) {
    int along = Shapes.axis(axis, a.shape().rank());
    return run(
        operator + " " + a.shape().rank() + " " + along,
        Shapes.without(a.shape(), along),
        List.of(a),
        (g, in) ->
            single(
                g,
                g.node(
                    operator, Map.of("keepdims", 0), twice(g, in.getFirst()), g.integers(along))));
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
      var inputs =
          arguments.stream().map(argument -> OrtArguments.argument(call.input(argument))).toList();
      sessions.run(
          form, graph, inputs, List.of(OrtArguments.argument(sessions.memory().tensor(result))));
    }
    return result;
  }

  private static Object[] names(String prefix, int rank) {
    return IntStream.range(0, rank).mapToObj(axis -> prefix + "_" + axis).toArray();
  }
}
