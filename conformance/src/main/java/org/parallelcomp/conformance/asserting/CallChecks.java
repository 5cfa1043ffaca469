package org.parallelcomp.conformance.asserting;

import java.lang.reflect.Method;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.parallelcomp.api.backend.AttendSequence;
import org.parallelcomp.api.backend.Backend;
import org.parallelcomp.api.backend.OpCall;
import org.parallelcomp.api.backend.Operation;
import org.parallelcomp.api.backend.Rope;
import org.parallelcomp.api.cache.KvLayer;
import org.parallelcomp.api.cache.TokenSelection;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Shape;
import org.parallelcomp.api.tensor.Tensor;

/** What must hold before and behind each operation, by its name. */
final class CallChecks {
  private final Backend real;

  CallChecks(Backend real) {
    this.real = real;
  }

  private static Tensor tensor(@Nullable Object argument) {
    return (Tensor) argument;
  }

  // ---- before ----

  /** Checks what the caller gives. */
  void before(Method method, Object[] a) {
    switch (method.getName()) {
      case "embed" -> {
        long tokens = tensor(a[2]).shape().elements();
        shape("out", a[0], DType.F32, tokens, tensor(a[1]).shape().dim(1));
        inRange("token ids", a[2], 0, tensor(a[1]).shape().dim(0));
        apart(a[0], a[2]);
      }
      case "linear" -> {
        Shape weight = tensor(a[1]).shape();
        long tokens = tensor(a[3]).shape().dim(0);
        shape("in", a[3], DType.F32, tokens, weight.dim(1));
        shape("out", a[0], DType.F32, tokens, weight.dim(0));
        if (a[2] != null) {
          shape("bias", a[2], DType.F32, weight.dim(0));
        }
        apart(a[0], a[1], a[2], a[3]);
      }
      case "rmsNorm" -> {
        same("out and in", a[0], a[1]);
        shape("weight", a[2], DType.F32, tensor(a[0]).shape().dim(-1));
        apartOrTheSame(a[0], a[1]);
        apart(a[0], a[2]);
      }
      case "rope" -> rope(a[0], a[1], (Rope) a[2]);
      case "swiGlu" -> {
        same("out and gate", a[0], a[1]);
        same("out and up", a[0], a[2]);
        apartOrTheSame(a[0], a[1]);
        apart(a[0], a[2]);
      }
      case "tokenLogLikelihood" -> {
        Shape logits = tensor(a[1]).shape();
        shape("out", a[0], DType.F32, logits.dim(0));
        inRange("targets", a[2], 0, logits.dim(1));
        apart(a[0], a[1], a[2]);
      }
      case "attentionInput" -> {
        Tensor hidden = tensor(a[4]);
        for (int out = 0; out < 3; out++) {
          Shape heads = tensor(a[out]).shape();
          shape("heads", a[out], DType.F32, hidden.shape().dim(0), heads.dim(1), heads.dim(2));
          apart(a[out], hidden, a[5], a[(out + 1) % 3]);
        }
        inRange("positions", a[5], 0, ((Rope) a[6]).positions());
      }
      case "attentionOutputAndFeedForward" -> {
        Shape attended = tensor(a[1]).shape();
        shape("hidden", a[0], DType.F32, attended.dim(0), tensor(a[0]).shape().dim(1));
        apart(a[0], a[1]);
      }
      case "attend" -> {
        same("out and queries", a[0], a[2]);
        apart(a[0], a[1], a[2]);
        attend(a[1], tensor(a[2]), (List<?>) a[4]);
      }
      case "attendAndFeedForward" -> {
        Tensor queries = tensor(a[2]);
        shape("hidden", a[0], DType.F32, queries.shape().dim(0), tensor(a[0]).shape().dim(1));
        apart(a[0], a[1], a[2]);
        attend(a[1], queries, (List<?>) a[4]);
      }
      case "mergePartial" -> {
        List<?> outs = (List<?>) a[2];
        List<?> sums = (List<?>) a[3];
        Contract.require(outs.size() == sums.size(), () -> outs.size() + " parts, " + sums.size());
        Stream.concat(outs.stream(), Stream.of(a[0])).forEach(out -> same("parts", a[0], out));
        outs.forEach(out -> apartOrTheSame(a[0], out));
        sums.forEach(sum -> same("log-sum-exps", sums.getFirst(), sum));
      }
      case "attentionMass" -> {
        var sequence = (AttendSequence) a[4];
        int window = (int) a[5];
        int measured = (int) a[7] - (int) a[6];
        Contract.require(
            window >= 1 && window <= sequence.rows(),
            () -> "a window of " + window + " where " + sequence.rows() + " rows are");
        shape("mass", a[0], DType.F32, tensor(a[0]).shape().dim(0), measured);
        apart(a[0], a[1], a[2]);
      }
      case "append" -> {
        var layer = (KvLayer) a[0];
        long tokens = tensor(a[3]).shape().elements();
        shape("keys", a[1], DType.F32, tokens, layer.kvHeads(), layer.headDim());
        shape("values", a[2], DType.F32, tokens, layer.kvHeads(), layer.headDim());
        inRange("positions", a[3], 0, Integer.MAX_VALUE);
        for (int h = 0; h < layer.kvHeads(); h++) {
          int head = h;
          Contract.require(
              layer.tokens(h) + tokens <= layer.capacity(h),
              () -> "no room for " + tokens + " tokens in head " + head + " of " + text(layer));
        }
      }
      case "compact" -> {
        var layer = (KvLayer) a[1];
        var selection = (TokenSelection) a[3];
        selection(selection);
        for (int h = 0; h < layer.kvHeads(); h++) {
          Contract.require(
              (int) a[2] >= 0 && (int) a[2] + selection.tokens() <= layer.tokens(h),
              () -> "selects of " + a[2] + " + " + selection.tokens() + " of " + text(layer));
        }
      }
      case "rerotate" -> {
        var layer = (KvLayer) a[0];
        Contract.require(
            (int) a[1] >= 0 && (int) a[1] + layer.maxTokens() <= ((Rope) a[2]).positions(),
            () -> "rotates beyond the table: " + a[1] + " + " + text(layer));
      }
      case "mask" -> selection((TokenSelection) a[0]);
      case "gather" -> {
        inRange("indices", a[1], 0, tensor(a[0]).shape().dim(-1));
      }
      case "topK" -> {
        Contract.require(
            (int) a[1] >= 0 && (int) a[1] <= tensor(a[0]).shape().dim(-1),
            () -> "the best " + a[1] + " of " + a[0]);
      }
      case "constant" -> {
        Contract.require(
            ((Shape) a[0]).elements() == ((float[]) a[1]).length,
            () -> ((float[]) a[1]).length + " numbers for " + a[0]);
      }
      case "copyFromHost" -> {
        int numbers = a[1] instanceof int[] ints ? ints.length : ((float[]) a[1]).length;
        DType dtype = a[1] instanceof int[] ? DType.I32 : DType.F32;
        Contract.require(
            tensor(a[0]).dtype() == dtype && tensor(a[0]).shape().elements() == numbers,
            () -> numbers + " numbers of " + dtype + " for " + a[0]);
      }
      default -> {}
    }
  }

  private void rope(Object inOut, Object positions, Rope rope) {
    Shape shape = tensor(inOut).shape();
    Contract.require(
        shape.rank() == 3 && rope.rotaryDims() <= shape.dim(2),
        () -> "rotates " + rope.rotaryDims() + " dimensions of " + inOut);
    shape("positions", positions, DType.I32, shape.dim(0));
    inRange("positions", positions, 0, rope.positions());
  }

  private void attend(@Nullable Object logSumExp, Tensor rows, List<?> sequences) {
    Shape queries = rows.shape();
    if (logSumExp != null) {
      shape("log-sum-exp", logSumExp, DType.F32, queries.dim(1), queries.dim(0));
      apart(logSumExp, rows);
    }
    boolean[] covered = new boolean[queries.intDim(0)];
    for (Object each : sequences) {
      var sequence = (AttendSequence) each;
      Contract.require(
          queries.dim(1) % sequence.layer().kvHeads() == 0
              && queries.dim(2) == sequence.layer().headDim(),
          () -> queries + " over " + text(sequence.layer()));
      for (int row = sequence.firstRow(); row < sequence.firstRow() + sequence.rows(); row++) {
        int at = row;
        Contract.require(!covered[at], () -> "row " + at + " is in two sequences");
        covered[row] = true;
      }
    }
    for (int row = 0; row < covered.length; row++) {
      int at = row;
      Contract.require(covered[at], () -> "row " + at + " is in no sequence");
    }
  }

  // ---- behind ----

  /**
   * Checks what the backend made of it.
   *
   * @param a the caller's arguments
   * @param inner the backend's
   */
  void after(Method method, Object[] a, Object[] inner, @Nullable Object result) {
    if (result instanceof Tensor tensor) {
      Contract.require(
          tensor.shape().elements() == 0 || tensor.layout().isContiguous(),
          () -> method.getName() + " gave " + tensor.layout());
    }
    switch (method.getName()) {
      case "add", "subtract", "multiply", "divide" -> {
        // The decoder's addition has no result.
        if (result != null) {
          Shape expected = broadcast(tensor(a[0]).shape(), tensor(a[1]).shape());
          shape(method.getName(), result, DType.F32, expected.toArray());
        }
      }
      case "affine",
          "exp",
          "floats",
          "log",
          "sqrt",
          "softmax",
          "averagePool1d",
          "maxPool1d",
          "greaterThan" ->
          shape(method.getName(), result, DType.F32, tensor(a[0]).shape().toArray());
      case "sum", "mean", "max", "min", "l2Norm" ->
          shape(method.getName(), result, DType.F32, without(tensor(a[0]).shape(), (int) a[1]));
      case "full", "constant" ->
          shape(method.getName(), result, DType.F32, ((Shape) a[0]).toArray());
      case "topK" -> {
        int count = (int) a[1];
        long length = tensor(a[0]).shape().dim(-1);
        Shape expected = tensor(a[0]).shape().with(-1, count);
        shape("topK", result, DType.I32, expected.toArray());
        ascending("topK", real.host().copyToHostInts(tensor(result)), count, length);
      }
      case "gather" ->
          shape("gather", result, tensor(a[0]).dtype(), tensor(a[1]).shape().toArray());
      case "selectWhere" -> {
        var selection = (TokenSelection) result;
        Shape mask = tensor(a[0]).shape();
        Contract.require(
            selection != null
                && selection.kvHeads() == mask.dim(0)
                && selection.tokens() == mask.dim(1),
            () -> "a selection of another shape than " + mask);
        selection(selection);
      }
      case "mask" -> {
        var selection = (TokenSelection) a[0];
        shape("mask", result, DType.F32, selection.kvHeads(), selection.tokens());
      }
      case "embed" -> supported(Operation.EMBED, tensor(a[1]));
      case "linear" -> supported(Operation.LINEAR, tensor(a[1]));
      case "append" -> {
        var layer = (KvLayer) a[0];
        Contract.require(
            layer.maxTokens() >= tensor(a[3]).shape().elements(),
            () -> "appended " + a[3] + ", now " + text(layer));
      }
      case "allocate" -> {
        var layer = (KvLayer) result;
        int[] capacities = (int[]) a[2];
        Contract.require(
            layer != null
                && layer.kvHeads() == capacities.length
                && layer.maxTokens() == 0
                && layer.headDim() == (int) a[3]
                && layer.keys().dtype() == a[1],
            () -> "not the layer that was asked for");
      }
      case "compact" -> {
        var layer = (KvLayer) result;
        int[] kept = ((TokenSelection) a[3]).keptTokens();
        Contract.require(
            layer != null && Arrays.equals(layer.tokens(), kept),
            () -> "keeps other numbers of tokens than " + Arrays.toString(kept));
        for (int h = 0; layer != null && h < kept.length; h++) {
          Contract.require(
              layer.capacity(h) == kept[h], () -> "has slots to spare: " + text(layer));
        }
      }
      case "rerotate" -> {
        var layer = (KvLayer) a[0];
        int[] positions = real.host().copyToHostInts(((KvLayer) inner[0]).positions());
        for (int h = 0; h < layer.kvHeads(); h++) {
          for (int t = 0; t < layer.tokens(h); t++) {
            int position = positions[layer.firstSlot(h) + t];
            int expected = (int) a[1] + t;
            Contract.require(
                position == expected, () -> "stands at " + position + ", not " + expected);
          }
        }
      }
      case "copyToHostFloats" ->
          Contract.require(
              ((float[]) result).length == tensor(a[0]).shape().elements(),
              () -> "copied other than all of " + a[0]);
      case "copyToHostInts" ->
          Contract.require(
              ((int[]) result).length == tensor(a[0]).shape().elements(),
              () -> "copied other than all of " + a[0]);
      default -> {}
    }
  }

  private void supported(Operation operation, Tensor weight) {
    var call = new OpCall(operation, List.of(weight.dtype()), List.of(weight.shape()));
    Contract.require(real.supports(call), () -> "computes what it says it does not: " + call);
  }

  // ---- the parts ----

  private static void shape(String what, @Nullable Object argument, DType dtype, long... dims) {
    Tensor tensor = tensor(argument);
    Contract.require(
        tensor.dtype() == dtype && tensor.shape().equals(Shape.of(dims)),
        () ->
            what
                + " is "
                + tensor.dtype()
                + tensor.shape()
                + " where "
                + dtype
                + Arrays.toString(dims)
                + " is due");
  }

  private static void same(String what, @Nullable Object a, @Nullable Object b) {
    Contract.require(
        tensor(a).shape().equals(tensor(b).shape()), () -> what + " are " + a + " and " + b);
  }

  private static void apart(@Nullable Object out, @Nullable Object... inputs) {
    for (Object input : inputs) {
      if (input != null) {
        Contract.require(
            !((AssertingTensor) tensor(out)).overlaps((AssertingTensor) tensor(input)),
            () -> "the output " + out + " overlaps the input " + input);
      }
    }
  }

  private static void apartOrTheSame(@Nullable Object out, @Nullable Object input) {
    boolean same =
        ((AssertingTensor) tensor(out)).root() == ((AssertingTensor) tensor(input)).root()
            && tensor(out).layout().toString().equals(tensor(input).layout().toString());
    if (!same) {
      apart(out, input);
    }
  }

  private void inRange(String what, @Nullable Object argument, long from, long to) {
    Tensor inner = ((AssertingTensor) tensor(argument)).real();
    Contract.require(inner.dtype() == DType.I32, () -> what + " are " + inner.dtype());
    for (int number : real.host().copyToHostInts(inner)) {
      Contract.require(
          number >= from && number < to,
          () -> what + " hold " + number + " where [" + from + ", " + to + ") is allowed");
    }
  }

  /** Positions ascend within each head, are unique and in range. */
  private void selection(TokenSelection selection) {
    if (selection.indices().isEmpty()) {
      return;
    }
    Tensor indices = selection.indices().get();
    Tensor inner = indices instanceof AssertingTensor own ? own.real() : indices;
    int[] all = real.host().copyToHostInts(inner);
    int from = 0;
    for (int kept : selection.keptTokens()) {
      ascending("selection", Arrays.copyOfRange(all, from, from + kept), kept, selection.tokens());
      from += kept;
    }
  }

  private static void ascending(String what, int[] positions, int rowLength, long length) {
    for (int i = 0; i < positions.length; i++) {
      int position = positions[i];
      int before = i % rowLength == 0 ? -1 : positions[i - 1];
      Contract.require(
          position > before && position < length,
          () -> what + " has " + position + " behind " + before + ", of " + length);
    }
  }

  private static Shape broadcast(Shape a, Shape b) {
    int rank = Math.max(a.rank(), b.rank());
    long[] dims = new long[rank];
    for (int axis = 1; axis <= rank; axis++) {
      long ofA = axis <= a.rank() ? a.dim(-axis) : 1;
      long ofB = axis <= b.rank() ? b.dim(-axis) : 1;
      dims[rank - axis] = ofA == 1 ? ofB : ofA;
    }
    return Shape.of(dims);
  }

  private static long[] without(Shape shape, int axis) {
    int removed = axis < 0 ? axis + shape.rank() : axis;
    long[] dims = new long[shape.rank() - 1];
    for (int i = 0; i < dims.length; i++) {
      dims[i] = shape.dim(i < removed ? i : i + 1);
    }
    return dims;
  }

  private static String text(KvLayer layer) {
    return "a layer of " + Arrays.toString(layer.tokens()) + " tokens";
  }
}
