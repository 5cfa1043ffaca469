package org.parallelcomp.backend.onnx;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.parallelcomp.backend.host.HostTensor;
import org.parallelcomp.backend.host.Rows;
import org.parallelcomp.backend.onnx.graph.ElementType;
import org.parallelcomp.backend.onnx.graph.Graph;

/**
 * The products of activations with weights, as nodes of a graph, in the precision that was chosen.
 *
 * <p>INT8: {@code out[r, n] = a_r b_n sum over k of (x[r, k] - 128) w[k, n]} with {@code a_r} a
 * 127th of the row's greatest absolute value and {@code b_n} that of the output's weights. A scale
 * for each row is what keeps rows independent. Unsigned times signed is what processors have
 * instructions for. Blocks of x and w are rotated before (see {@link Hadamard}): without that a
 * model with outliers among its activations loses some per cent of perplexity.
 *
 * <p>INT4: see {@link FourBits}; the runtime quantises each 32 activations for itself.
 */
final class Products {
  /** Rows of weights that are quantised at a time, so that whole cache lines are written. */
  private static final int ROWS = 64;

  /** Below any activation that counts; keeps a row of zeros from dividing by zero. */
  private static final float TINIEST = 1e-30f;

  private final Graph graph;
  private final Precision precision;
  private final Map<Integer, String> rotations = new HashMap<>();
  private int products;

  Products(Graph graph, Precision precision) {
    this.graph = graph;
    this.precision = precision;
  }

  /**
   * Activations, perhaps with a factor for each row that was left out.
   *
   * @param numbers {@code [1, rows, dim]}
   * @param factor {@code [1, rows, 1]}, or empty for 1
   */
  record Activations(String numbers, String factor) {
    static Activations of(String numbers) {
      return new Activations(numbers, "");
    }
  }

  /** Multiplies with weights {@code [outputDim, inputDim]}. */
  String multiply(String in, HostTensor weight) {
    Activations out = multiplyAll(Activations.of(in), List.of(weight)).getFirst();
    return scaled(out);
  }

  /** Multiplies a row's factor in. */
  String scaled(Activations rows) {
    return rows.factor.isEmpty() ? rows.numbers : graph.node("Mul", rows.numbers, rows.factor);
  }

  /** Multiplies with several weights of one input; the factors of the rows are left out. */
  List<Activations> multiplyAll(Activations in, List<HostTensor> matrices) {
    String name = "w" + products++;
    int inputDim = matrices.getFirst().shape().intDim(1);
    int outputDim = outputDim(matrices);
    return switch (precision) {
      case F32 -> {
        var outs = new ArrayList<Activations>();
        for (int i = 0; i < matrices.size(); i++) {
          outs.add(
              new Activations(
                  graph.contributed(
                      "FusedMatMul",
                      Map.of("transB", 1),
                      in.numbers,
                      floats(name + "_" + i, matrices.get(i))),
                  in.factor));
        }
        yield outs;
      }
      case INT8 -> {
        String spread = rotated(in.numbers, inputDim);
        String greatest =
            graph.node(
                "Max",
                graph.node(
                    "ReduceMax",
                    Map.of("keepdims", 1),
                    graph.node("Abs", spread),
                    graph.integers(-1)),
                graph.number(TINIEST));
        String step = graph.number(1f / 127);
        String zero = graph.unsignedByte(128);
        String rows = graph.node("QuantizeLinear", graph.node("Div", spread, greatest), step, zero);
        String factor = in.factor.isEmpty() ? greatest : graph.node("Mul", greatest, in.factor);
        // One product for each: many rows cost more to split than reading the input once more.
        var outs = new ArrayList<Activations>();
        for (int i = 0; i < matrices.size(); i++) {
          HostTensor matrix = matrices.get(i);
          int columns = matrix.shape().intDim(0);
          String weight =
              graph.weights(
                  name + "_" + i,
                  ElementType.INT8,
                  to -> signedBytes(matrix, to),
                  inputDim,
                  columns);
          String scales =
              graph.weights(
                  name + "_" + i + "_scales", ElementType.FLOAT, to -> scales(matrix, to), columns);
          String product =
              graph.contributed("MatMulIntegerToFloat", Map.of(), rows, weight, step, scales, zero);
          outs.add(new Activations(product, factor));
        }
        yield outs;
      }
      case INT4 -> {
        int columns = FourBits.columns(matrices);
        int blocks = Math.ceilDiv(columns, FourBits.BLOCK);
        String weight =
            graph.weights(
                name,
                ElementType.UINT8,
                to -> FourBits.numbers(matrices, to),
                outputDim,
                blocks,
                FourBits.BLOCK / 2);
        String scales =
            graph.weights(
                name + "_scales",
                ElementType.FLOAT,
                to -> FourBits.scales(matrices, to),
                (long) outputDim * blocks);
        String zeros =
            graph.weights(
                name + "_zeros",
                ElementType.UINT8,
                to -> FourBits.zeros(matrices, to),
                (long) outputDim * Math.ceilDiv(blocks, 2));
        Map<String, Object> attributes =
            Map.of(
                "K",
                columns,
                "N",
                outputDim,
                "bits",
                4,
                "block_size",
                FourBits.BLOCK,
                "accuracy_level",
                4);
        String rows = FourBits.haveRests(matrices) ? withMeans(in.numbers) : in.numbers;
        yield split(
            graph.contributed("MatMulNBits", attributes, rows, weight, scales, zeros),
            in.factor,
            matrices);
      }
    };
  }

  /** Rotates blocks of activations as those of the weights are. */
  private String rotated(String rows, int inputDim) {
    int size = Hadamard.size(inputDim);
    if (size == 1) {
      return rows;
    }
    String rotation =
        rotations.computeIfAbsent(
            size,
            _ ->
                graph.weights(
                    "hadamard" + size,
                    ElementType.FLOAT,
                    to -> Hadamard.write(size, to),
                    size,
                    size));
    String blocks = graph.node("Reshape", rows, graph.integers(-1, size));
    return graph.node(
        "Reshape", graph.node("MatMul", blocks, rotation), graph.integers(1, -1, inputDim));
  }

  /** Puts the means of blocks of activations behind them, for the rests of {@link FourBits}. */
  private String withMeans(String rows) {
    long[] block = {FourBits.BLOCK};
    String means = graph.node("AveragePool", Map.of("kernel_shape", block, "strides", block), rows);
    return graph.node("Concat", Map.of("axis", -1), rows, means);
  }

  private static int outputDim(List<HostTensor> matrices) {
    return matrices.stream().mapToInt(matrix -> matrix.shape().intDim(0)).sum();
  }

  private List<Activations> split(String product, String factor, List<HostTensor> matrices) {
    if (matrices.size() == 1) {
      return List.of(new Activations(product, factor));
    }
    long[] widths = matrices.stream().mapToLong(matrix -> matrix.shape().dim(0)).toArray();
    return graph
        .nodes("Split", widths.length, Map.of("axis", -1), product, graph.integers(widths))
        .stream()
        .map(part -> new Activations(part, factor))
        .toList();
  }

  /** Weights of F32 are used where they lie in the file; others are unpacked. */
  private String floats(String name, HostTensor matrix) {
    long[] dims = matrix.shape().toArray();
    return switch (matrix.dtype()) {
      case F32 -> graph.weights(name, ElementType.FLOAT, matrix.data(), dims);
      default -> graph.weights(name, ElementType.FLOAT, to -> unpack(matrix, to), dims);
    };
  }

  private static void unpack(HostTensor matrix, MemorySegment to) {
    int columns = matrix.shape().intDim(1);
    IntStream.range(0, matrix.shape().intDim(0))
        .parallel()
        .forEach(
            row ->
                MemorySegment.copy(
                    row(matrix, row), 0, to, Rows.FLOAT, 4L * row * columns, columns));
  }

  /** Returns a row of weights. */
  static float[] row(HostTensor matrix, long row) {
    int columns = matrix.shape().intDim(1);
    float[] numbers = new float[columns];
    long from = matrix.startByte() + row * matrix.dtype().bytes(columns);
    WeightBlocks.unpack(matrix.dtype(), matrix.storage(), from, columns, numbers, 0);
    return numbers;
  }

  private static void scales(HostTensor matrix, MemorySegment to) {
    IntStream.range(0, matrix.shape().intDim(0))
        .parallel()
        .forEach(row -> to.setAtIndex(Rows.FLOAT, row, greatest(rotatedRow(matrix, row)) / 127));
  }

  private static float[] rotatedRow(HostTensor matrix, long row) {
    float[] numbers = row(matrix, row);
    Hadamard.rotate(numbers);
    return numbers;
  }

  private static float greatest(float[] numbers) {
    float greatest = TINIEST;
    for (float number : numbers) {
      greatest = Math.max(greatest, Math.abs(number));
    }
    return greatest;
  }

  /** Writes {@code [inputDim, outputDim]}. */
  private static void signedBytes(HostTensor matrix, MemorySegment to) {
    int outputDim = matrix.shape().intDim(0);
    int inputDim = matrix.shape().intDim(1);
    IntStream.range(0, Math.ceilDiv(outputDim, ROWS))
        .parallel()
        .forEach(
            piece -> {
              int from = piece * ROWS;
              int count = Math.min(ROWS, outputDim - from);
              byte[] bytes = new byte[inputDim * count];
              for (int r = 0; r < count; r++) {
                float[] numbers = rotatedRow(matrix, from + r);
                float scale = greatest(numbers) / 127;
                for (int k = 0; k < inputDim; k++) {
                  bytes[k * count + r] = (byte) Math.round(numbers[k] / scale);
                }
              }
              for (int k = 0; k < inputDim; k++) {
                long at = (long) k * outputDim + from;
                MemorySegment.copy(bytes, k * count, to, Rows.BYTE, at, count);
              }
            });
  }
}
