package org.parallelcomp.backend.onnx;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.parallelcomp.backend.onnx.graph.ElementType;
import org.parallelcomp.backend.onnx.graph.Graph;

/**
 * The graphs of attention. Softmax s_j and its weights p_j give the log-sum-exp as {@code max s -
 * log max p}, since {@code p_j = exp(s_j - logSumExp)}; the greatest p is never below one over the
 * number of keys.
 *
 * @param heads kv heads
 * @param group query heads that share one
 * @param headDim numbers per key
 * @param scale factor of the products
 * @param hasCommon whether there are keys that every row sees
 * @param hasOwn whether there are keys of the rows themselves, of which row i sees the first i + 1
 * @param givesSum whether the log-sum-exp is an output
 */
record AttentionGraphs(
    int heads,
    int group,
    int headDim,
    float scale,
    boolean hasCommon,
    boolean hasOwn,
    boolean givesSum) {

  /** A score beside which any other weighs everything. */
  private static final float WEIGHTLESS = -1e30f;

  private record MassForm(int group, int headDim, float scale) {}

  private record GroupedForm(int heads, int group, int headDim, float scale) {}

  Object form() {
    return this;
  }

  Object massForm() {
    return new MassForm(group, headDim, scale);
  }

  Object groupedForm() {
    return new GroupedForm(heads, group, headDim, scale);
  }

  /**
   * Returns the graph of attention.
   *
   * <pre>
   * queries             [rows, heads, group, headDim]
   * for each head: the keys that all rows see, their values, the rows' own keys, their values
   * out                 [rows, heads, group, headDim]
   * logSumExp           [heads * group, rows]
   * </pre>
   */
  Graph attention() {
    var g = new Graph("attention");
    String queries = g.input("queries", ElementType.FLOAT, "rows", heads, group, headDim);
    String byHead = g.node("Transpose", Map.of("perm", new long[] {1, 2, 0, 3}), queries);
    byHead = g.node("Reshape", byHead, g.integers(heads, -1, headDim));
    List<String> ofHeads =
        heads == 1
            ? List.of(byHead)
            : g.nodes("Split", heads, Map.of("axis", 0, "num_outputs", heads), byHead);
    String mask = hasOwn ? mask(g, queries) : "";
    var outs = new ArrayList<String>();
    var sums = new ArrayList<String>();
    for (int head = 0; head < heads; head++) {
      var parts = new ArrayList<Part>();
      if (hasCommon) {
        parts.add(part(g, ofHeads.get(head), head, "common", ""));
      }
      if (hasOwn) {
        parts.add(part(g, ofHeads.get(head), head, "own", mask));
      }
      if (parts.size() == 1) {
        outs.add(parts.getFirst().out);
        sums.add(parts.getFirst().sum);
      } else {
        // Two partial attentions: each weighs as much as its share of the sum of exponentials.
        String both = g.node("Concat", Map.of("axis", -1), parts.get(0).sum, parts.get(1).sum);
        List<String> weights =
            g.nodes(
                "Split",
                2,
                Map.of("axis", -1, "num_outputs", 2),
                g.node("Softmax", Map.of("axis", -1), both));
        outs.add(
            g.node(
                "Add",
                g.node("Mul", parts.get(0).out, weights.get(0)),
                g.node("Mul", parts.get(1).out, weights.get(1))));
        sums.add(
            givesSum ? g.node("ReduceLogSumExp", Map.of("keepdims", 1), both, g.integers(-1)) : "");
      }
    }
    String all = together(g, outs);
    all = g.node("Reshape", all, g.integers(heads, group, -1, headDim));
    all = g.node("Transpose", Map.of("perm", new long[] {2, 0, 1, 3}), all);
    g.output(g.named(all, "out"), ElementType.FLOAT, "rows", heads, group, headDim);
    if (givesSum) {
      String sum = g.node("Reshape", together(g, sums), g.integers((long) heads * group, -1));
      g.output(g.named(sum, "logSumExp"), ElementType.FLOAT, heads * group, "rows");
    }
    return g;
  }

  /**
   * Returns the graph of attention by one operator, where all heads have as many slots and show as
   * many of their first tokens. It reads keys and values in the cache: the operator appends no new
   * ones, and its outputs for the cache are the memory of its inputs.
   *
   * <pre>
   * queries        [1, rows, heads * group * headDim]
   * none           [1, 0, heads * headDim]
   * keys, values   [1, heads, slots, headDim]
   * last           [1]   tokens less one
   * tokens         []    how many the last row sees; row i sees as many less as rows are behind it
   * out            [1, rows, heads * group * headDim]
   * </pre>
   */
  Graph grouped() {
    var g = new Graph("grouped-attention");
    int queryDim = heads * group * headDim;
    String queries = g.input("queries", ElementType.FLOAT, 1, "rows", queryDim);
    String none = g.input("none", ElementType.FLOAT, 1, "none", heads * headDim);
    String keys = g.input("keys", ElementType.FLOAT, 1, heads, "slots", headDim);
    String values = g.input("values", ElementType.FLOAT, 1, heads, "slots", headDim);
    String last = g.input("last", ElementType.INT32, 1);
    String tokens = g.input("tokens", ElementType.INT32);
    // The runtime's product of a single row is fast only without a factor.
    String scaled = g.node("Mul", queries, g.number(scale));
    // A key of no weight, which keeps the runtime from its flash kernel: for so few rows at a time
    // that one takes half as long again.
    float[] weightless = new float[heads * group];
    Arrays.fill(weightless, WEIGHTLESS);
    g.contributed(
        "GroupQueryAttention",
        List.of("out", "sameKeys", "sameValues"),
        Map.of("num_heads", heads * group, "kv_num_heads", heads, "scale", 1f),
        scaled,
        none,
        none,
        keys,
        values,
        last,
        tokens,
        "",
        "",
        "",
        "",
        g.numbers(weightless));
    g.output("out", ElementType.FLOAT, 1, "rows", queryDim);
    g.output("sameKeys", ElementType.FLOAT, 1, heads, "slots", headDim);
    g.output("sameValues", ElementType.FLOAT, 1, heads, "slots", headDim);
    return g;
  }

  private static String together(Graph g, List<String> ofHeads) {
    return ofHeads.size() == 1
        ? ofHeads.getFirst()
        : g.node("Concat", Map.of("axis", 0), ofHeads.toArray(String[]::new));
  }

  /** Attention over some of the keys, {@code [1, group * rows, …]}. */
  private record Part(String out, String sum) {}

  private Part part(Graph g, String queries, int head, String which, String mask) {
    String count = which + head;
    String keys = g.input(which + "Keys" + head, ElementType.FLOAT, count, headDim);
    String values = g.input(which + "Values" + head, ElementType.FLOAT, count, headDim);
    String scores =
        g.contributed("FusedMatMul", Map.of("transB", 1, "alpha", scale), queries, keys);
    if (!mask.isEmpty()) {
      String apart =
          g.node(
              "Reshape",
              scores,
              g.node("Concat", Map.of("axis", 0), g.integers(group), g.node("Shape", mask)));
      apart = g.node("Add", apart, mask);
      scores = g.node("Reshape", apart, g.node("Shape", scores));
    }
    String weights = g.node("Softmax", Map.of("axis", -1), scores);
    String out = g.node("MatMul", weights, values);
    boolean needsSum = givesSum || hasCommon && hasOwn;
    return new Part(out, needsSum ? logSumExp(g, scores, weights) : "");
  }

  private static String logSumExp(Graph g, String scores, String weights) {
    Map<String, Object> keep = Map.of("keepdims", 1);
    String innermost = g.integers(-1);
    return g.node(
        "Sub",
        g.node("ReduceMax", keep, scores, innermost),
        g.node("Log", g.node("ReduceMax", keep, weights, innermost)));
  }

  /** Returns {@code [rows, rows]}, negative infinity above the diagonal and 0 elsewhere. */
  private static String mask(Graph g, String queries) {
    String rows = g.node("Shape", Map.of("start", 0, "end", 1), queries);
    String square = g.node("Concat", Map.of("axis", 0), rows, rows);
    String none = g.node("Expand", g.number(Float.NEGATIVE_INFINITY), square);
    return g.node("Trilu", Map.of("upper", 1), none, g.integer(1));
  }

  /**
   * Returns the graph of how much attention keys get from rows, for one kv head.
   *
   * <pre>
   * queries    [rows, group, headDim]
   * keys       [keys, headDim]
   * logSumExp  [group, rows, 1]
   * end        []                      how many of the keys row 0 sees; row i sees i more
   * mass       [group, keys]
   * </pre>
   */
  Graph mass() {
    var g = new Graph("attention-mass");
    String queries = g.input("queries", ElementType.FLOAT, "rows", group, headDim);
    String keys = g.input("keys", ElementType.FLOAT, "keys", headDim);
    String sums = g.input("logSumExp", ElementType.FLOAT, group, "rows", 1);
    String end = g.input("end", ElementType.INT64);
    String byHead = g.node("Transpose", Map.of("perm", new long[] {1, 0, 2}), queries);
    String scores = g.contributed("FusedMatMul", Map.of("transB", 1, "alpha", scale), byHead, keys);
    String shape = g.node("Shape", Map.of("start", 1), scores);
    String none = g.node("Expand", g.number(Float.NEGATIVE_INFINITY), shape);
    String mask = g.node("Trilu", Map.of("upper", 1), none, end);
    String shares = g.node("Exp", g.node("Sub", g.node("Add", scores, mask), sums));
    String mass = g.node("ReduceSum", Map.of("keepdims", 0), shares, g.integers(1));
    g.output(g.named(mass, "mass"), ElementType.FLOAT, group, "keys");
    return g;
  }
}
