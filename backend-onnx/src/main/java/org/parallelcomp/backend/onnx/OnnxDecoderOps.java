package org.parallelcomp.backend.onnx;

import static org.parallelcomp.backend.onnx.OrtArguments.argument;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.parallelcomp.api.backend.Arguments;
import org.parallelcomp.api.backend.AttentionBlock;
import org.parallelcomp.api.backend.DecoderOps;
import org.parallelcomp.api.backend.FeedForwardBlock;
import org.parallelcomp.api.backend.Rope;
import org.parallelcomp.api.backend.Scratch;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Tensor;
import org.parallelcomp.backend.host.HostMemory;
import org.parallelcomp.backend.host.HostTensor;
import org.parallelcomp.backend.host.Rows;
import org.parallelcomp.backend.onnx.graph.ElementType;
import org.parallelcomp.backend.onnx.graph.Graph;
import org.parallelcomp.backend.onnx.runtime.OrtTensor;

/**
 * The operations of a decoder layer, each a graph; the two fused blocks are one graph each. Norms
 * and biases are inputs, weight matrices are constants.
 */
final class OnnxDecoderOps implements DecoderOps {
  /**
   * Rows that pass a graph at a time. The runtime's operators write whole tensors between them;
   * those of so many rows stay in the processor's caches.
   */
  private static final int ROWS = 256;

  // What makes the graph of an operation another one. Small records, since they are looked up for
  // every block of every token.

  private record RopeForm(Rope.Style style, int rotaryDims) {
    static RopeForm of(Rope rope) {
      return new RopeForm(rope.style(), rope.rotaryDims());
    }
  }

  private record RotationForm(int heads, int headDim, RopeForm rope) {}

  private record LinearForm(Precision precision, boolean bias) {}

  private record InputForm(
      Precision precision,
      int queryHeads,
      int kvHeads,
      int headDim,
      RopeForm rope,
      boolean queryBias,
      boolean keyBias,
      boolean valueBias,
      boolean queryNorm,
      boolean keyNorm,
      float epsilon) {}

  private record OutputForm(Precision precision, boolean bias, float epsilon) {}

  private final Sessions sessions;
  private final HostMemory memory;
  private final Precision precision;

  OnnxDecoderOps(Sessions sessions, Precision precision) {
    this.sessions = sessions;
    this.memory = sessions.memory();
    this.precision = precision;
  }

  @Override
  public void embed(Tensor out, Tensor table, Tensor tokenIds) {
    Arguments.requireEmbed(out, table, tokenIds);
    HostTensor matrix = matrix(table);
    Rows to = memory.floats(out);
    int[] ids = memory.ints(tokenIds).toInts();
    for (int i = 0; i < ids.length; i++) {
      requireToken(ids[i], table.shape().dim(0));
      to.write(i, Products.row(matrix, ids[i]), 0);
    }
  }

  @Override
  public void linear(Tensor out, Tensor weight, @Nullable Tensor bias, Tensor in) {
    Arguments.requireLinear(out, weight, bias, in);
    HostTensor matrix = matrix(weight);
    long outputDim = weight.shape().dim(0);
    long inputDim = weight.shape().dim(1);
    forRows(
        in.shape().dim(0),
        (from, to) -> {
          Precision ofProducts = ofHead(precision(to - from, List.of(matrix)), matrix);
          var form = new LinearForm(ofProducts, bias != null);
          Supplier<Graph> graph =
              () -> {
                var g = new Graph("linear");
                String x = g.input("in", ElementType.FLOAT, 1, "rows", inputDim);
                String y = new Products(g, ofProducts).multiply(x, matrix);
                if (bias != null) {
                  y = g.node("Add", y, g.input("bias", ElementType.FLOAT, outputDim));
                }
                g.output(g.named(y, "out"), ElementType.FLOAT, 1, "rows", outputDim);
                return g;
              };
          try (var call = new Contiguous(sessions)) {
            HostTensor result = call.output(out.slice(0, from, to));
            var inputs = new ArrayList<OrtTensor>();
            inputs.add(argument(call.input(in.slice(0, from, to)), 1, to - from, inputDim));
            if (bias != null) {
              inputs.add(argument(call.input(bias)));
            }
            sessions.run(
                form,
                List.of(matrix),
                graph,
                inputs,
                List.of(argument(result, 1, to - from, outputDim)));
            call.finish(out.slice(0, from, to), result);
          }
        });
  }

  @Override
  public void rmsNorm(Tensor out, Tensor in, Tensor weight, float epsilon) {
    Arguments.requireRmsNorm(out, in, weight);
    long dim = in.shape().dim(-1);
    long rows = in.shape().elements() / dim;
    elementwise(
        "norm " + epsilon,
        g -> {
          String x = g.input("in", ElementType.FLOAT, "rows", "dim");
          String w = g.input("weight", ElementType.FLOAT, "dim");
          return norm(g, x, w, epsilon);
        },
        out,
        new long[] {rows, dim},
        in,
        weight);
  }

  private static String norm(Graph g, String in, String weight, float epsilon) {
    return g.node(
        "SimplifiedLayerNormalization",
        Map.of("axis", -1, "epsilon", epsilon, "stash_type", 1),
        in,
        weight);
  }

  @Override
  public void rope(Tensor inOut, Tensor positions, Rope rope) {
    Arguments.requireRope(inOut, positions, rope);
    long tokens = inOut.shape().dim(0);
    int heads = inOut.shape().intDim(1);
    int headDim = inOut.shape().intDim(2);
    if (headDim % 2 != 0) {
      throw new InferenceException(
          ErrorCode.UNSUPPORTED_OPERATION,
          "ONNX Runtime rotates heads of an even size, not of " + headDim + ".");
    }
    requirePositions(positions, rope);
    if (tokens > rope.positions()) {
      // The runtime wants a table of at least as many positions as there are rows.
      for (long from = 0; from < tokens; from += rope.positions()) {
        long to = Math.min(from + rope.positions(), tokens);
        rope(inOut.slice(0, from, to), positions.slice(0, from, to), rope);
      }
      return;
    }
    var form = new RotationForm(heads, headDim, RopeForm.of(rope));
    Supplier<Graph> graph =
        () -> {
          var g = new Graph("rope");
          String x = g.input("in", ElementType.FLOAT, 1, "rows", heads * headDim);
          String rotated = new Rotation(g, rope).rotate(x, heads, headDim);
          g.output(g.named(rotated, "out"), ElementType.FLOAT, 1, "rows", heads * headDim);
          return g;
        };
    try (var call = new Contiguous(sessions)) {
      HostTensor in = call.input(inOut);
      OrtTensor rotated = argument(in, 1, tokens, (long) heads * headDim);
      var inputs = new ArrayList<>(List.of(rotated));
      inputs.addAll(ropeArguments(call, positions, rope));
      sessions.run(form, graph, inputs, List.of(rotated));
      call.finish(inOut, in);
    }
  }

  private List<OrtTensor> ropeArguments(Contiguous call, Tensor positions, Rope rope) {
    int[] numbers = memory.ints(positions).toInts();
    // The runtime's operator wants them so.
    MemorySegment wide = call.memory((long) numbers.length * Long.BYTES);
    for (int i = 0; i < numbers.length; i++) {
      wide.setAtIndex(ValueLayout.JAVA_LONG, i, numbers[i]);
    }
    return List.of(
        new OrtTensor(ElementType.INT64, wide, 1, numbers.length),
        argument(call.input(rope.cosines())),
        argument(call.input(rope.sines())));
  }

  private void requirePositions(Tensor positions, Rope rope) {
    for (int position : memory.ints(positions).toInts()) {
      if (position < 0 || position >= rope.positions()) {
        throw new InferenceException(
            ErrorCode.INTERNAL,
            "Position "
                + position
                + " is outside of the "
                + rope.positions()
                + " positions of the rotary table.");
      }
    }
  }

  /** The rotation by positions, whose inputs are declared once for all uses in a graph. */
  private static final class Rotation {
    private final Graph graph;
    private final Rope rope;
    private final String positions;
    private final String cosines;
    private final String sines;

    Rotation(Graph graph, Rope rope) {
      this.graph = graph;
      this.rope = rope;
      this.positions = graph.input("positions", ElementType.INT64, 1, "rows");
      int half = rope.rotaryDims() / 2;
      this.cosines = graph.input("cosines", ElementType.FLOAT, "positions", half);
      this.sines = graph.input("sines", ElementType.FLOAT, "positions", half);
    }

    String rotate(String in, int heads, int headDim) {
      Map<String, Object> attributes =
          Map.of(
              "interleaved",
              rope.style() == Rope.Style.INTERLEAVED ? 1 : 0,
              "num_heads",
              heads,
              "rotary_embedding_dim",
              rope.rotaryDims() == headDim ? 0 : rope.rotaryDims());
      return graph.contributed("RotaryEmbedding", attributes, in, positions, cosines, sines);
    }
  }

  @Override
  public void swiGlu(Tensor out, Tensor gate, Tensor up) {
    Arguments.requireSwiGlu(out, gate, up);
    elementwise(
        "swiGlu",
        g -> {
          String a = g.input("gate", ElementType.FLOAT, "elements");
          String b = g.input("up", ElementType.FLOAT, "elements");
          return swiGlu(g, a, b);
        },
        out,
        new long[] {gate.shape().elements()},
        gate,
        up);
  }

  private static String swiGlu(Graph g, String gate, String up) {
    return g.node("Mul", g.contributed("QuickGelu", Map.of("alpha", 1f), gate), up);
  }

  @Override
  public void add(Tensor inOut, Tensor term) {
    Arguments.requireAdd(inOut, term);
    elementwise(
        "add",
        g -> {
          String a = g.input("a", ElementType.FLOAT, "elements");
          return g.node("Add", a, g.input("b", ElementType.FLOAT, "elements"));
        },
        inOut,
        new long[] {inOut.shape().elements()},
        inOut,
        term);
  }

  @Override
  public void tokenLogLikelihood(Tensor out, Tensor logits, Tensor targets) {
    Arguments.requireTokenLogLikelihood(out, logits, targets);
    long rows = logits.shape().dim(0);
    long vocab = logits.shape().dim(1);
    for (int id : memory.ints(targets).toInts()) {
      requireToken(id, vocab);
    }
    Supplier<Graph> graph =
        () -> {
          var g = new Graph("log-likelihood");
          String x = g.input("logits", ElementType.FLOAT, "rows", "vocab");
          String ids = g.input("targets", ElementType.INT32, "rows", 1);
          String all = g.node("LogSoftmax", Map.of("axis", -1), x);
          String chosen = g.node("GatherElements", Map.of("axis", -1), all, ids);
          g.output(g.named(chosen, "out"), ElementType.FLOAT, "rows", 1);
          return g;
        };
    try (var call = new Contiguous(sessions)) {
      HostTensor result = call.output(out);
      sessions.run(
          "log-likelihood",
          graph,
          List.of(argument(call.input(logits)), argument(call.input(targets), rows, 1)),
          List.of(argument(result, rows, 1)));
      call.finish(out, result);
    }
  }

  private interface Body {
    String build(Graph graph);
  }

  /** Runs an operation whose first input and output have the same extents. */
  private void elementwise(
      String form, Body body, Tensor out, long[] dims, Tensor first, Tensor second) {
    if (first.shape().elements() == 0) {
      return;
    }
    Object[] names = dims.length == 1 ? new Object[] {"elements"} : new Object[] {"rows", "dim"};
    Supplier<Graph> graph =
        () -> {
          var g = new Graph(form.replace(' ', '-'));
          g.output(g.named(body.build(g), "out"), ElementType.FLOAT, names);
          return g;
        };
    long[] ofSecond =
        second.shape().elements() == first.shape().elements() && dims.length == 1
            ? dims
            : new long[] {second.shape().elements()};
    try (var call = new Contiguous(sessions)) {
      HostTensor result = call.output(out);
      sessions.run(
          form,
          graph,
          List.of(argument(call.input(first), dims), argument(call.input(second), ofSecond)),
          List.of(argument(result, dims)));
      call.finish(out, result);
    }
  }

  @Override
  public void attentionInput(
      Tensor queries,
      Tensor keys,
      Tensor values,
      AttentionBlock block,
      Tensor hidden,
      Tensor positions,
      Rope rope,
      Scratch scratch) {
    int hiddenDim = hidden.shape().intDim(1);
    int queryHeads = queries.shape().intDim(1);
    int kvHeads = keys.shape().intDim(1);
    int headDim = queries.shape().intDim(2);
    int queryDim = queryHeads * headDim;
    int keyDim = kvHeads * headDim;
    var weights = List.of(matrix(block.query()), matrix(block.key()), matrix(block.value()));
    requirePositions(positions, rope);
    forRows(
        hidden.shape().dim(0),
        // The runtime wants a rotary table of at least as many positions as there are rows.
        Math.min(ROWS, rope.positions()),
        (from, to) -> {
          Precision ofProducts = precision(to - from, weights);
          var form =
              new InputForm(
                  ofProducts,
                  queryHeads,
                  kvHeads,
                  headDim,
                  RopeForm.of(rope),
                  block.queryBias() != null,
                  block.keyBias() != null,
                  block.valueBias() != null,
                  block.queryNorm() != null,
                  block.keyNorm() != null,
                  block.epsilon());
          Supplier<Graph> graph =
              () -> {
                var g = new Graph("attention-input");
                var products = new Products(g, ofProducts);
                String x = g.input("hidden", ElementType.FLOAT, 1, "rows", hiddenDim);
                String normed =
                    norm(g, x, g.input("norm", ElementType.FLOAT, hiddenDim), block.epsilon());
                var rotation = new Rotation(g, rope);
                var parts =
                    products.multiplyAll(Products.Activations.of(normed), weights).stream()
                        .map(products::scaled)
                        .toList();
                String q = biased(g, parts.get(0), "queryBias", block.queryBias());
                String k = biased(g, parts.get(1), "keyBias", block.keyBias());
                String v = biased(g, parts.get(2), "valueBias", block.valueBias());
                float epsilon = block.epsilon();
                q = headNorm(g, q, "queryNorm", block.queryNorm(), queryHeads, headDim, epsilon);
                k = headNorm(g, k, "keyNorm", block.keyNorm(), kvHeads, headDim, epsilon);
                q = rotation.rotate(q, queryHeads, headDim);
                k = rotation.rotate(k, kvHeads, headDim);
                g.output(g.named(q, "queries"), ElementType.FLOAT, 1, "rows", queryDim);
                g.output(g.named(k, "keys"), ElementType.FLOAT, 1, "rows", keyDim);
                g.output(g.named(v, "values"), ElementType.FLOAT, 1, "rows", keyDim);
                return g;
              };
          try (var call = new Contiguous(sessions)) {
            long rows = to - from;
            HostTensor q = call.output(queries.slice(0, from, to));
            HostTensor k = call.output(keys.slice(0, from, to));
            HostTensor v = call.output(values.slice(0, from, to));
            var inputs = new ArrayList<OrtTensor>();
            inputs.add(argument(call.input(hidden.slice(0, from, to)), 1, rows, hiddenDim));
            inputs.add(argument(call.input(block.norm())));
            inputs.addAll(ropeArguments(call, positions.slice(0, from, to), rope));
            addPresent(call, inputs, block.queryBias(), block.keyBias(), block.valueBias());
            addPresent(call, inputs, block.queryNorm(), block.keyNorm());
            sessions.run(
                form,
                weights,
                graph,
                inputs,
                List.of(
                    argument(q, 1, rows, queryDim),
                    argument(k, 1, rows, keyDim),
                    argument(v, 1, rows, keyDim)));
            call.finish(queries.slice(0, from, to), q);
            call.finish(keys.slice(0, from, to), k);
            call.finish(values.slice(0, from, to), v);
          }
        });
  }

  private static void addPresent(
      Contiguous call, List<OrtTensor> inputs, @Nullable Tensor... vectors) {
    for (Tensor vector : vectors) {
      if (vector != null) {
        inputs.add(argument(call.input(vector)));
      }
    }
  }

  private static String biased(Graph g, String in, String name, @Nullable Tensor bias) {
    return bias == null
        ? in
        : g.node("Add", in, g.input(name, ElementType.FLOAT, bias.shape().dim(0)));
  }

  private static String headNorm(
      Graph g,
      String in,
      String name,
      @Nullable Tensor weight,
      int heads,
      int headDim,
      float epsilon) {
    if (weight == null) {
      return in;
    }
    String apart = g.node("Reshape", in, g.integers(0, 0, heads, headDim));
    String normed = norm(g, apart, g.input(name, ElementType.FLOAT, headDim), epsilon);
    return g.node("Reshape", normed, g.integers(0, 0, (long) heads * headDim));
  }

  @Override
  public void attentionOutputAndFeedForward(
      Tensor hidden,
      Tensor attended,
      AttentionBlock attention,
      FeedForwardBlock feedForward,
      Scratch scratch) {
    int hiddenDim = hidden.shape().intDim(1);
    int attendedDim = attended.shape().intDim(1) * attended.shape().intDim(2);
    HostTensor output = matrix(attention.output());
    HostTensor gate = matrix(feedForward.gate());
    HostTensor up = matrix(feedForward.up());
    HostTensor down = matrix(feedForward.down());
    Tensor bias = attention.outputBias();
    forRows(
        hidden.shape().dim(0),
        (from, to) -> {
          Precision ofProducts = precision(to - from, List.of(output, gate, up, down));
          var form = new OutputForm(ofProducts, bias != null, feedForward.epsilon());
          Supplier<Graph> graph =
              () -> {
                var g = new Graph("attention-output-and-feed-forward");
                var products = new Products(g, ofProducts);
                String x = g.input("hidden", ElementType.FLOAT, 1, "rows", hiddenDim);
                String a = g.input("attended", ElementType.FLOAT, 1, "rows", attendedDim);
                String weight = g.input("norm", ElementType.FLOAT, hiddenDim);
                String projected = biased(g, products.multiply(a, output), "outputBias", bias);
                List<String> results =
                    g.contributed(
                        "SkipSimplifiedLayerNormalization",
                        4,
                        Map.of("epsilon", feedForward.epsilon()),
                        x,
                        projected,
                        weight);
                String normed = results.get(0);
                String sum = results.get(3);
                var gated =
                    products.multiplyAll(Products.Activations.of(normed), List.of(gate, up));
                // A factor of the rows of up is a factor of those of the product.
                String inner = swiGlu(g, products.scaled(gated.get(0)), gated.get(1).numbers());
                var factored = new Products.Activations(inner, gated.get(1).factor());
                String last =
                    products.scaled(products.multiplyAll(factored, List.of(down)).getFirst());
                String all = g.node("Add", sum, last);
                g.output(g.named(all, "out"), ElementType.FLOAT, 1, "rows", hiddenDim);
                return g;
              };
          try (var call = new Contiguous(sessions)) {
            long rows = to - from;
            HostTensor state = call.input(hidden.slice(0, from, to));
            OrtTensor inOut = argument(state, 1, rows, hiddenDim);
            var inputs = new ArrayList<>(List.of(inOut));
            inputs.add(argument(call.input(attended.slice(0, from, to)), 1, rows, attendedDim));
            inputs.add(argument(call.input(feedForward.norm())));
            addPresent(call, inputs, bias);
            sessions.run(form, List.of(output, gate, up, down), graph, inputs, List.of(inOut));
            call.finish(hidden.slice(0, from, to), state);
          }
        });
  }

  /**
   * Returns what rows are multiplied as. A single row takes as long as its weights take to be read:
   * what the file holds in 4 bits is read so. Many rows are faster in bytes.
   */
  private Precision precision(long rows, List<HostTensor> weights) {
    boolean fewerBits =
        precision == Precision.INT8
            && rows == 1
            && weights.stream().allMatch(weight -> FourBits.areIn(weight.dtype()));
    return fewerBits ? Precision.INT4 : precision;
  }

  /** The head is rounded to bytes at most, as files of 4 bits have it: it tells tokens apart. */
  private static Precision ofHead(Precision precision, HostTensor weight) {
    return precision == Precision.INT4 && !FourBits.areIn(weight.dtype())
        ? Precision.INT8
        : precision;
  }

  private interface RowBody {
    void run(long from, long to);
  }

  private static void forRows(long rows, RowBody body) {
    forRows(rows, ROWS, body);
  }

  private static void forRows(long rows, long step, RowBody body) {
    for (long from = 0; from < rows; from += step) {
      body.run(from, Math.min(from + step, rows));
    }
  }

  private HostTensor matrix(Tensor weight) {
    if (weight.dtype() == DType.I32
        || weight.shape().rank() != 2
        || !weight.layout().isContiguous()) {
      throw new InferenceException(
          ErrorCode.UNSUPPORTED_OPERATION,
          "The ONNX backend needs a weight matrix without gaps, not "
              + weight.dtype()
              + weight.layout()
              + ".");
    }
    return memory.tensor(weight);
  }

  private static void requireToken(int id, long vocab) {
    if (id < 0 || id >= vocab) {
      throw new InferenceException(
          ErrorCode.INTERNAL,
          "The token id " + id + " is outside of the vocabulary of " + vocab + ".");
    }
  }
}
