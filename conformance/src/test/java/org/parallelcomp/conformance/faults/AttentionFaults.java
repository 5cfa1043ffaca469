package org.parallelcomp.conformance.faults;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.Function;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.parallelcomp.api.backend.AttendSequence;
import org.parallelcomp.api.backend.AttentionOps;
import org.parallelcomp.api.backend.BackendProvider;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.evidence.HeadReduction;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Shape;
import org.parallelcomp.api.tensor.Tensor;
import org.parallelcomp.conformance.faults.Breaking.Broken;
import org.parallelcomp.conformance.faults.Breaking.Call;
import org.parallelcomp.conformance.reference.OutOfBounds;

/** Faults of attention, its merge and its mass. */
final class AttentionFaults {
  static final List<Fault> FAULTS =
      List.of(
          new Fault(
              "lets a row see the next row's token",
              "B401",
              attending(AttentionFaults::oneTokenAhead)),
          new Fault(
              "counts the causal offset from the first key",
              "B403",
              attending(AttentionFaults::offsetFromTheFirst)),
          new Fault(
              "rounds scores of a half-precision cache to 8 bits",
              "B402",
              breaking("attend", AttentionFaults::coarseQueries)),
          new Fault(
              "takes the sequences of a batch to stand in the order given",
              "B404",
              breaking("attend", AttentionFaults::inOrder)),
          new Fault(
              "ignores the lengths of heads",
              "B405",
              attending(
                  s ->
                      List.of(
                          new AttendSequence(
                              s.firstRow(),
                              s.rows(),
                              s.layer(),
                              new int[s.layer().kvHeads()],
                              s.layer().tokens(),
                              s.causal())))),
          new Fault(
              "divides by nothing where a row sees nothing",
              "B406",
              breaking("attend", AttentionFaults::nothingByNothing)),
          new Fault(
              "multiplies what is not visible by zero",
              "B407",
              breaking("attend", AttentionFaults::zeroTimesNan)),
          new Fault(
              "takes the softmax of scores without the maximum",
              "B408",
              breaking("attend", AttentionFaults::withoutMaximum)),
          new Fault(
              "shares the scratch of attention between threads",
              "B409",
              breaking("attend", new SharedQueries()::call)),
          new Fault(
              "needs a place for the log-sum-exp",
              "B410",
              breaking("attend", AttentionFaults::sumsNeeded)),
          new Fault(
              "merges parts by their mean",
              "B411",
              breaking("mergePartial", AttentionFaults::meanOfParts)),
          new Fault(
              "merges parts over nothing to NaN",
              "B412",
              breaking("mergePartial", AttentionFaults::nothingMerged)),
          new Fault(
              "counts every query of a sequence in the window",
              "B413",
              breaking(
                  "attentionMass", call -> call.with(5, call.get(4, AttendSequence.class).rows()))),
          new Fault(
              "sums a group where its mean was asked for",
              "B413",
              breaking("attentionMass", AttentionFaults::sumOfGroup)),
          new Fault(
              "does not normalise the mass",
              "B414",
              breaking(
                  "attentionMass", call -> call.with(2, call.changed(call.tensor(2), x -> 0f)))),
          new Fault(
              "gives query head g the kv head g modulo their number",
              "B415",
              breaking("attend", AttentionFaults::interleavedGroups)),
          new Fault(
              "writes behind a row of a view",
              "B416",
              breaking(
                  "attend",
                  call -> {
                    call.honestly();
                    OutOfBounds.writeBehindFirstRow(call.tensor(0));
                    return null;
                  })),
          new Fault(
              "takes the log-sum-exp to base 2",
              "B417",
              breaking(
                  "attend",
                  call -> {
                    call.honestly();
                    if (call.arguments()[1] != null) {
                      call.change(call.tensor(1), x -> (float) (x / Math.log(2)));
                    }
                    return null;
                  })),
          new Fault(
              "spreads NaN from one row to all",
              "B418",
              breaking("attend", AttentionFaults::spreadNan)),
          new Fault(
              "sees keys of another head size",
              "B419",
              breaking("attend", AttentionFaults::anyHeadSize)),
          new Fault(
              "multiplies what a part over nothing holds by zero",
              "B421",
              breaking("mergePartial", AttentionFaults::zeroTimesGarbage)),
          new Fault(
              "keeps something of the call before",
              "B422",
              breaking("attend", new Carrying()::call)),
          new Fault(
              "drops the last of many tokens when there is one row",
              "B423",
              attending(AttentionFaults::withoutTail)));

  private AttentionFaults() {}

  private static Supplier<BackendProvider> breaking(String method, Broken broken) {
    return Breaking.method(AttentionOps.class, method, broken);
  }

  /** Breaks which rows see which keys. */
  private static Supplier<BackendProvider> attending(
      Function<AttendSequence, List<AttendSequence>> broken) {
    return breaking(
        "attend",
        call -> {
          List<AttendSequence> sequences = Breaking.list(call.arguments()[4]);
          return call.with(4, sequences.stream().flatMap(s -> broken.apply(s).stream()).toList());
        });
  }

  private static AttendSequence row(AttendSequence s, int row, int[] to) {
    return new AttendSequence(s.firstRow() + row, 1, s.layer(), s.fromToken(), to, false);
  }

  private static List<AttendSequence> oneTokenAhead(AttendSequence s) {
    var rows = new ArrayList<AttendSequence>();
    for (int row = 0; row < s.rows(); row++) {
      int later = s.causal() ? Math.max(0, s.rows() - row - 2) : 0;
      rows.add(row(s, row, Arrays.stream(s.toToken()).map(t -> t - later).toArray()));
    }
    return rows;
  }

  private static List<AttendSequence> offsetFromTheFirst(AttendSequence s) {
    if (!s.causal()) {
      return List.of(s);
    }
    var rows = new ArrayList<AttendSequence>();
    for (int row = 0; row < s.rows(); row++) {
      int seen = row + 1;
      rows.add(row(s, row, Arrays.stream(s.fromToken()).map(f -> f + seen).toArray()));
    }
    return rows;
  }

  private static List<AttendSequence> withoutTail(AttendSequence s) {
    if (s.rows() != 1) {
      return List.of(s);
    }
    int[] to = s.toToken().clone();
    for (int h = 0; h < to.length; h++) {
      to[h] -= to[h] - s.fromToken()[h] > 1000 ? 1 : 0;
    }
    return List.of(row(s, 0, to));
  }

  private static List<AttendSequence> sequences(Call call) {
    return Breaking.list(call.arguments()[4]);
  }

  private static Object coarseQueries(Call call) {
    boolean half = sequences(call).stream().anyMatch(s -> s.layer().keys().dtype() != DType.F32);
    return half
        ? call.with(2, call.changed(call.tensor(2), x -> Math.round(x * 32) / 32f))
        : call.honestly();
  }

  private static Object inOrder(Call call) {
    var inOrder = new ArrayList<AttendSequence>();
    int next = 0;
    for (AttendSequence s : sequences(call)) {
      inOrder.add(
          new AttendSequence(next, s.rows(), s.layer(), s.fromToken(), s.toToken(), s.causal()));
      next += s.rows();
    }
    return call.with(4, inOrder);
  }

  private static Object nothingByNothing(Call call) {
    call.honestly();
    if (call.arguments()[1] == null) {
      return null;
    }
    Tensor out = call.tensor(0);
    int tokens = out.shape().intDim(0);
    int heads = out.shape().intDim(1);
    int dim = out.shape().intDim(2);
    float[] sums = call.numbers(1);
    float[] numbers = call.numbers(0);
    for (int i = 0; i < numbers.length; i++) {
      int head = i / dim % heads;
      if (sums[head * tokens + i / dim / heads] == Float.NEGATIVE_INFINITY) {
        numbers[i] = Float.NaN;
      }
    }
    call.write(out, numbers);
    return null;
  }

  private static Object zeroTimesNan(Call call) {
    call.honestly();
    for (AttendSequence s : sequences(call)) {
      for (float value : call.numbers(s.layer().values())) {
        if (Float.isNaN(value)) {
          call.change(call.tensor(0), x -> Float.NaN);
        }
      }
    }
    return null;
  }

  /** As a kernel would that takes exponentials of scores as they are, in single precision. */
  private static Object withoutMaximum(Call call) {
    Tensor sums =
        call.arguments()[1] == null
            ? call.backend()
                .openScope("sums")
                .allocate(
                    DType.F32,
                    Shape.of(call.tensor(2).shape().dim(1), call.tensor(2).shape().dim(0)))
            : call.tensor(1);
    call.with(1, sums);
    Tensor out = call.tensor(0);
    int tokens = out.shape().intDim(0);
    int heads = out.shape().intDim(1);
    int dim = out.shape().intDim(2);
    float[] numbers = call.numbers(out);
    float[] logarithms = call.numbers(sums);
    for (int i = 0; i < numbers.length; i++) {
      float sum = (float) Math.exp(logarithms[i / dim % heads * tokens + i / dim / heads]);
      numbers[i] = numbers[i] * sum / sum;
    }
    call.write(out, numbers);
    return null;
  }

  private static Object sumsNeeded(Call call) {
    if (call.arguments()[1] == null) {
      throw new InferenceException(ErrorCode.INTERNAL, "There is no log-sum-exp to write to.");
    }
    return call.honestly();
  }

  private static Object meanOfParts(Call call) {
    List<Tensor> parts = Breaking.list(call.arguments()[2]);
    float[] mean = new float[Math.toIntExact(call.tensor(0).shape().elements())];
    for (Tensor part : parts) {
      float[] numbers = call.numbers(part);
      for (int i = 0; i < mean.length; i++) {
        mean[i] += numbers[i] / parts.size();
      }
    }
    call.honestly();
    call.write(call.tensor(0), mean);
    return null;
  }

  private static Object nothingMerged(Call call) {
    call.honestly();
    if (call.arguments()[1] != null) {
      call.change(call.tensor(1), x -> x == Float.NEGATIVE_INFINITY ? Float.NaN : x);
    }
    return null;
  }

  private static Object zeroTimesGarbage(Call call) {
    List<Tensor> parts = Breaking.list(call.arguments()[2]);
    boolean garbage = false;
    for (Tensor part : parts) {
      for (float x : call.numbers(part)) {
        garbage |= Float.isNaN(x);
      }
    }
    call.honestly();
    if (garbage) {
      call.change(call.tensor(0), x -> Float.NaN);
    }
    return null;
  }

  private static Object sumOfGroup(Call call) {
    call.honestly();
    if (call.arguments()[8] == HeadReduction.MEAN) {
      int group =
          call.tensor(1).shape().intDim(1) / call.get(4, AttendSequence.class).layer().kvHeads();
      call.change(call.tensor(0), x -> x * group);
    }
    return null;
  }

  /** Exchanges the query heads so that head g reads kv head g modulo the kv heads. */
  private static Object interleavedGroups(Call call) {
    List<AttendSequence> sequences = sequences(call);
    if (sequences.isEmpty()) {
      return call.honestly();
    }
    int kvHeads = sequences.getFirst().layer().kvHeads();
    Tensor queries = exchanged(call, call.tensor(2), kvHeads, false);
    Tensor out = call.changed(call.tensor(0), x -> x);
    call.honestly(out, call.arguments()[1], queries, call.arguments()[3], sequences);
    call.write(call.tensor(0), call.numbers(exchanged(call, out, kvHeads, true)));
    return null;
  }

  private static Tensor exchanged(Call call, Tensor tensor, int kvHeads, boolean back) {
    int heads = tensor.shape().intDim(1);
    int dim = tensor.shape().intDim(2);
    int group = heads / kvHeads;
    float[] from = call.numbers(tensor);
    float[] to = new float[from.length];
    for (int i = 0; i < from.length; i++) {
      int head = i / dim % heads;
      int other = head % kvHeads * group + head / kvHeads;
      int moved = i + (other - head) * dim;
      if (back) {
        to[i] = from[moved];
      } else {
        to[moved] = from[i];
      }
    }
    Tensor result = call.changed(tensor, x -> x);
    call.write(result, to);
    return result;
  }

  private static Object spreadNan(Call call) {
    call.honestly();
    for (float x : call.numbers(2)) {
      if (Float.isNaN(x)) {
        call.change(call.tensor(0), y -> Float.NaN);
      }
    }
    return null;
  }

  private static Object anyHeadSize(Call call) {
    try {
      return call.honestly();
    } catch (InferenceException e) {
      return null;
    }
  }

  /** Reads the queries from where another thread may have put its own meanwhile. */
  private static final class SharedQueries {
    private volatile @Nullable Tensor shared;

    Object call(Call call) {
      shared = call.tensor(2);
      MemoryFaults.pause();
      Tensor found = shared;
      boolean fits = found != null && found.shape().equals(call.tensor(2).shape());
      return fits ? call.with(2, found) : call.with(2, call.changed(call.tensor(2), x -> 0f));
    }
  }

  /** Adds a little of the last call's result. */
  private static final class Carrying {
    private float left;

    Object call(Call call) {
      call.honestly();
      float carried = left;
      call.change(call.tensor(0), x -> x + 1e-6f * carried);
      left = call.numbers(2).length == 0 ? 0 : call.numbers(2)[0];
      return null;
    }
  }
}
