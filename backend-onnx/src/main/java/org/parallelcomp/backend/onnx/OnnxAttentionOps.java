package org.parallelcomp.backend.onnx;

import static org.parallelcomp.backend.onnx.OrtArguments.argument;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.parallelcomp.api.backend.Arguments;
import org.parallelcomp.api.backend.AttendSequence;
import org.parallelcomp.api.backend.AttentionOps;
import org.parallelcomp.api.cache.KvLayer;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.evidence.HeadReduction;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Tensor;
import org.parallelcomp.backend.host.AttentionParts;
import org.parallelcomp.backend.host.HostMemory;
import org.parallelcomp.backend.host.HostTensor;
import org.parallelcomp.backend.host.Rows;
import org.parallelcomp.backend.onnx.graph.ElementType;
import org.parallelcomp.backend.onnx.runtime.OrtTensor;

/**
 * Attention, some rows at a time. The runtime has no operator that returns the log-sum-exp, so it
 * is composed (see {@link AttentionGraphs}); what is alive at once is rows × keys of one piece of
 * rows. The keys and values of each head are read where the cache holds them.
 */
final class OnnxAttentionOps implements AttentionOps {
  /** Rows of scores at a time, of one kv head: with 2048 keys 2 MiB, which caches hold. */
  private static final int SCORE_ROWS = 256;

  /** Scores of one kv head that may be alive at once, however many keys there are: 32 MiB. */
  private static final int MOST_SCORES = 8 << 20;

  /** Rows that the operator for grouped queries takes at a time: its scores are all rows × keys. */
  private static final int GROUPED_ROWS = 256;

  /** Below so many rows at a time of many, what is made anew for each piece costs too much. */
  private static final int FEWEST_GROUPED_ROWS = 64;

  /** Scores of all heads that may be alive at once: 64 MiB. */
  private static final long MOST_GROUPED_SCORES = 16 << 20;

  /** Keys whose mass is summed at a time. */
  private static final int MASS_KEYS = 2048;

  private final Sessions sessions;
  private final HostMemory memory;

  OnnxAttentionOps(Sessions sessions) {
    this.sessions = sessions;
    this.memory = sessions.memory();
  }

  @Override
  public boolean logSumExpCosts() {
    return true;
  }

  @Override
  public void attend(
      Tensor out,
      @Nullable Tensor logSumExp,
      Tensor queries,
      float scale,
      List<AttendSequence> sequences) {
    Arguments.requireAttend(out, logSumExp, queries, sequences);
    for (AttendSequence sequence : sequences) {
      int group = group(queries, sequence.layer());
      if (logSumExp == null && isEven(sequence) && attendGrouped(out, queries, scale, sequence)) {
        continue;
      }
      int keys = Arrays.stream(sequence.toToken()).max().orElse(0);
      int step = Math.max(1, Math.min(SCORE_ROWS, MOST_SCORES / Math.max(1, keys)) / group);
      for (int from = 0; from < sequence.rows(); from += step) {
        int to = Math.min(from + step, sequence.rows());
        new Piece(out, logSumExp, queries, scale, sequence, from, to, group).attend();
      }
    }
  }

  /** Returns whether all heads show as many of their first tokens, with as many slots each. */
  private static boolean isEven(AttendSequence sequence) {
    KvLayer layer = sequence.layer();
    for (int head = 0; head < layer.kvHeads(); head++) {
      if (sequence.fromToken()[head] != 0
          || sequence.toToken()[head] != sequence.toToken()[0]
          || layer.capacity(head) != layer.capacity(0)) {
        return false;
      }
    }
    return sequence.toToken()[0] > 0 && (sequence.causal() || sequence.rows() == 1);
  }

  /**
   * Attends by the runtime's operator for grouped queries, which gives no log-sum-exp; returns
   * false if its scores, as wide as the cache has slots, would take too much memory.
   */
  private boolean attendGrouped(Tensor out, Tensor queries, float scale, AttendSequence sequence) {
    KvLayer layer = sequence.layer();
    int queryHeads = queries.shape().intDim(1);
    int headDim = layer.headDim();
    int slots = layer.capacity(0);
    int step = (int) Math.min(GROUPED_ROWS, MOST_GROUPED_SCORES / ((long) queryHeads * slots));
    if (!sessions.onProcessor() || step < Math.min(sequence.rows(), FEWEST_GROUPED_ROWS)) {
      return false;
    }
    int group = queryHeads / layer.kvHeads();
    var graphs = new AttentionGraphs(layer.kvHeads(), group, headDim, scale, true, false, false);
    OrtTensor keys = argument(memory.tensor(layer.keys()), 1, layer.kvHeads(), slots, headDim);
    OrtTensor values = argument(memory.tensor(layer.values()), 1, layer.kvHeads(), slots, headDim);
    OrtTensor none = new OrtTensor(ElementType.FLOAT, keys.data(), 1, 0, layer.kvHeads() * headDim);
    for (int from = 0; from < sequence.rows(); from += step) {
      int rows = Math.min(step, sequence.rows() - from);
      int tokens = sequence.toToken()[0] - (sequence.rows() - from - rows);
      int firstRow = sequence.firstRow() + from;
      Tensor outRows = out.slice(0, firstRow, firstRow + rows);
      try (var call = new Contiguous(sessions)) {
        HostTensor result = call.output(outRows);
        HostTensor query = call.input(queries.slice(0, firstRow, firstRow + rows));
        MemorySegment counts = call.memory(2L * Integer.BYTES);
        counts.set(Rows.INT, 0, tokens - 1);
        counts.set(Rows.INT, Integer.BYTES, tokens);
        sessions.run(
            graphs.groupedForm(),
            graphs::grouped,
            List.of(
                argument(query, 1, rows, queryHeads * headDim),
                none,
                keys,
                values,
                new OrtTensor(ElementType.INT32, counts, 1),
                new OrtTensor(ElementType.INT32, counts.asSlice(Integer.BYTES))),
            List.of(argument(result, 1, rows, queryHeads * headDim), keys, values));
        call.finish(outRows, result);
      }
    }
    return true;
  }

  /** Returns how many query heads share a kv head; refuses keys of another type than F32. */
  private static int group(Tensor queries, KvLayer layer) {
    if (layer.keys().dtype() != DType.F32) {
      throw new InferenceException(
          ErrorCode.UNSUPPORTED_OPERATION,
          "The ONNX backend attends to keys of F32, not " + layer.keys().dtype() + ".");
    }
    return queries.shape().intDim(1) / layer.kvHeads();
  }

  /** Some rows of one sequence. */
  private final class Piece {
    private final Tensor out;
    private final @Nullable Tensor logSumExp;
    private final float scale;
    private final KvLayer layer;
    private final int firstRow;
    private final int rows;
    private final int group;
    private final int headDim;
    private final Tensor queryRows;
    private final Tensor outRows;

    /** Keys that every row sees, and behind them those that row i sees the first i + 1 of. */
    private final int[] first;

    private final int[] common;
    private final int own;

    Piece(
        Tensor out,
        @Nullable Tensor logSumExp,
        Tensor queries,
        float scale,
        AttendSequence sequence,
        int from,
        int to,
        int group) {
      this.out = out;
      this.logSumExp = logSumExp;
      this.scale = scale;
      this.layer = sequence.layer();
      this.firstRow = sequence.firstRow() + from;
      this.rows = to - from;
      this.group = group;
      this.headDim = layer.headDim();
      this.queryRows = queries.slice(0, firstRow, firstRow + rows);
      this.outRows = out.slice(0, firstRow, firstRow + rows);
      // A single row sees its own key like the others.
      this.own = sequence.causal() && rows > 1 ? rows : 0;
      this.first = sequence.fromToken();
      this.common = sequence.toToken().clone();
      for (int head = 0; head < common.length; head++) {
        int hidden = sequence.causal() ? sequence.rows() - to : 0;
        common[head] -= first[head] + hidden + own;
      }
    }

    void attend() {
      boolean allOrNone =
          Arrays.stream(common).allMatch(count -> count > 0)
              || Arrays.stream(common).allMatch(count -> count == 0);
      if (allOrNone) {
        attend(0, common.length);
      } else {
        for (int head = 0; head < common.length; head++) {
          attend(head, head + 1);
        }
      }
    }

    private void attend(int fromHead, int toHead) {
      int heads = toHead - fromHead;
      boolean hasCommon = common[fromHead] > 0;
      Tensor toOut = outRows.slice(1, (long) fromHead * group, (long) toHead * group);
      Tensor ofQueries = queryRows.slice(1, (long) fromHead * group, (long) toHead * group);
      if (!hasCommon && own == 0) {
        nothing(toOut, fromHead, toHead);
        return;
      }
      var graphs =
          new AttentionGraphs(heads, group, headDim, scale, hasCommon, own > 0, logSumExp != null);
      try (var call = new Contiguous(sessions)) {
        HostTensor result = call.output(toOut);
        var inputs = new ArrayList<OrtTensor>();
        inputs.add(argument(call.input(ofQueries), rows, heads, group, headDim));
        for (int head = fromHead; head < toHead; head++) {
          if (hasCommon) {
            inputs.add(slots(layer.keys(), head, first[head], common[head]));
            inputs.add(slots(layer.values(), head, first[head], common[head]));
          }
          if (own > 0) {
            inputs.add(slots(layer.keys(), head, first[head] + common[head], own));
            inputs.add(slots(layer.values(), head, first[head] + common[head], own));
          }
        }
        var outputs = new ArrayList<>(List.of(argument(result, rows, heads, group, headDim)));
        int queryHeads = heads * group;
        MemorySegment sums = call.memory(4L * queryHeads * rows);
        if (logSumExp != null) {
          outputs.add(new OrtTensor(ElementType.FLOAT, sums, queryHeads, rows));
        }
        sessions.run(graphs.form(), graphs::attention, inputs, outputs);
        call.finish(toOut, result);
        if (logSumExp != null) {
          float[] row = new float[rows];
          for (int head = 0; head < queryHeads; head++) {
            MemorySegment.copy(sums, Rows.FLOAT, 4L * head * rows, row, 0, rows);
            memory
                .floats(logSumExp)
                .writePart((long) fromHead * group + head, firstRow, rows, row, 0);
          }
        }
      }
    }

    private OrtTensor slots(Tensor cache, int head, int from, int count) {
      long slot = (long) layer.firstSlot(head) + from;
      return argument(memory.tensor(cache.slice(0, slot, slot + count)), count, headDim);
    }

    private void nothing(Tensor toOut, int fromHead, int toHead) {
      float[] zeros = new float[headDim];
      Rows to = memory.floats(toOut);
      for (long row = 0; row < to.count(); row++) {
        to.write(row, zeros, 0);
      }
      if (logSumExp != null) {
        float[] none = new float[rows];
        Arrays.fill(none, Float.NEGATIVE_INFINITY);
        for (int head = fromHead * group; head < toHead * group; head++) {
          memory.floats(logSumExp).writePart(head, firstRow, rows, none, 0);
        }
      }
    }
  }

  @Override
  public void mergePartial(
      Tensor out,
      @Nullable Tensor logSumExp,
      List<Tensor> partialOuts,
      List<Tensor> partialLogSumExps) {
    Arguments.requireMergePartial(out, logSumExp, partialOuts, partialLogSumExps);
    int tokens = out.shape().intDim(0);
    AttentionParts.merge(memory, out, logSumExp, partialOuts, partialLogSumExps, 0, tokens);
  }

  @Override
  public void attentionMass(
      Tensor mass,
      Tensor queries,
      Tensor logSumExp,
      float scale,
      AttendSequence sequence,
      int windowQueries,
      int fromToken,
      int toToken,
      HeadReduction reduction) {
    Arguments.requireAttentionMass(
        mass, queries, logSumExp, sequence, windowQueries, fromToken, toToken, reduction);
    KvLayer layer = sequence.layer();
    int group = group(queries, layer);
    Rows to = memory.floats(mass);
    int length = toToken - fromToken;
    for (int head = 0; head < layer.kvHeads(); head++) {
      float[] sums = new float[group * length];
      int step = Math.max(1, SCORE_ROWS / group);
      for (int row = 0; row < windowQueries; row += step) {
        int end = Math.min(row + step, windowQueries);
        new Window(queries, logSumExp, scale, sequence, head, group, windowQueries, row, end)
            .addTo(sums, fromToken, toToken);
      }
      if (reduction == HeadReduction.NONE) {
        for (int g = 0; g < group; g++) {
          to.write((long) head * group + g, sums, g * length);
        }
      } else {
        AttentionParts.reduce(sums, group, length, length, reduction);
        to.write(head, sums, 0);
      }
    }
  }

  /** Rows of a window, of one kv head. */
  private final class Window {
    private final Tensor queries;
    private final Tensor logSumExp;
    private final float scale;
    private final AttendSequence sequence;
    private final int head;
    private final int group;
    private final int rows;

    /** The first of the rows in the tensor of queries. */
    private final int firstRow;

    /** The end of the keys that the first of the rows sees. */
    private final int firstEnd;

    Window(
        Tensor queries,
        Tensor logSumExp,
        float scale,
        AttendSequence sequence,
        int head,
        int group,
        int windowQueries,
        int from,
        int to) {
      this.queries = queries;
      this.logSumExp = logSumExp;
      this.scale = scale;
      this.sequence = sequence;
      this.head = head;
      this.group = group;
      this.rows = to - from;
      this.firstRow = sequence.firstRow() + sequence.rows() - windowQueries + from;
      int hidden = sequence.causal() ? windowQueries - from - 1 : -rows;
      this.firstEnd = sequence.toToken()[head] - hidden;
    }

    /** Adds to {@code [group, toToken - fromToken]}. */
    void addTo(float[] sums, int fromToken, int toToken) {
      int headDim = sequence.layer().headDim();
      int length = toToken - fromToken;
      int end = Math.min(toToken, sequence.toToken()[head]);
      var graphs = new AttentionGraphs(1, group, headDim, scale, true, false, true);
      long firstHead = (long) head * group;
      Tensor ofQueries =
          queries.slice(0, firstRow, firstRow + rows).slice(1, firstHead, firstHead + group);
      Tensor ofSums =
          logSumExp.slice(0, firstHead, firstHead + group).slice(1, firstRow, firstRow + rows);
      try (var call = new Contiguous(sessions)) {
        OrtTensor query = argument(call.input(ofQueries), rows, group, headDim);
        OrtTensor sum = argument(call.input(ofSums), group, rows, 1);
        MemorySegment last = call.memory(8);
        MemorySegment piece = call.memory(4L * group * MASS_KEYS);
        float[] added = new float[MASS_KEYS];
        for (int from = Math.max(fromToken, sequence.fromToken()[head]);
            from < end;
            from += MASS_KEYS) {
          int keys = Math.min(MASS_KEYS, end - from);
          long slot = (long) sequence.layer().firstSlot(head) + from;
          last.set(java.lang.foreign.ValueLayout.JAVA_LONG, 0, firstEnd - from);
          sessions.run(
              graphs.massForm(),
              graphs::mass,
              List.of(
                  query,
                  argument(memory.tensor(sequence.layer().keys().slice(0, slot, slot + keys))),
                  sum,
                  new OrtTensor(ElementType.INT64, last)),
              List.of(new OrtTensor(ElementType.FLOAT, piece, group, keys)));
          for (int g = 0; g < group; g++) {
            MemorySegment.copy(piece, Rows.FLOAT, 4L * g * keys, added, 0, keys);
            for (int k = 0; k < keys; k++) {
              sums[g * length + from - fromToken + k] += added[k];
            }
          }
        }
      }
    }
  }
}
