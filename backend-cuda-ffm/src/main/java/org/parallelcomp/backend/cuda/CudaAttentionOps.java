package org.parallelcomp.backend.cuda;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.parallelcomp.api.backend.AttendSequence;
import org.parallelcomp.api.backend.AttentionOps;
import org.parallelcomp.api.cache.KvLayer;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.evidence.HeadReduction;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Layout;
import org.parallelcomp.api.tensor.Shape;
import org.parallelcomp.api.tensor.Tensor;
import org.parallelcomp.backend.cuda.SharedConstants.Lease;
import org.parallelcomp.backend.cuda.ffi.CudaFunction.Grid;
import org.parallelcomp.backend.cuda.ffi.DeviceMemory;
import org.parallelcomp.backend.cuda.ffi.FusedAttention;
import org.parallelcomp.backend.cuda.ffi.LaunchArguments;

/**
 * Attention. Few rows (decoding) are split over their keys by a kernel of our own. Many rows over a
 * cache of 16 bits go to cuDNN, where it is there and all heads hold as many tokens; where not,
 * they go in tiles on the matrix units, and over F32 caches in tiles in F32, by kernels of our own.
 */
final class CudaAttentionOps implements AttentionOps, AutoCloseable {
  /** Greatest head that the kernels hold in a tile. */
  static final int MOST_HEAD_DIM = 256;

  private static final int[] TILE_HEAD_DIMS = {64, 128, 256};
  private static final int SEQUENCE_BYTES = 32;
  private static final int RANGE_BYTES = 16;
  private static final int PARTIAL_BYTES = 40;
  private static final int THREADS = 128;

  /** Rows of a sequence up to which the keys and not the rows are spread over the device. */
  private static final int FEW_ROWS = 8;

  private static final int FEW_TOKENS = 64;
  private static final int MOST_GROUP_OF_SPLIT = 16;
  private static final int MOST_SPLITS = 64;
  private static final int KEYS_PER_SPLIT = 256;
  private static final int BLOCKS_PER_MULTIPROCESSOR = 2;
  private static final int COUNTERS = 1 << 14;

  /** Rows from which cuDNN's graph is worth its conversions. */
  private static final int FUSED_ROWS = 128;

  /** Greatest head of cuDNN's kernel on Hopper. */
  private static final int MOST_FUSED_HEAD_DIM = 128;

  private final CudaRuntime runtime;
  private final Moves moves;
  private final @Nullable FusedAttention fused;

  /** Zero before and after each launch of the split kernel. */
  private final DeviceMemory counters;

  /**
   * @param fused cuDNN's attention, or null where the library is not there
   */
  CudaAttentionOps(CudaRuntime runtime, Moves moves, @Nullable FusedAttention fused) {
    this.runtime = runtime;
    this.moves = moves;
    this.fused = fused;
    this.counters = runtime.temporary(4L * COUNTERS);
    runtime.stream().clear(counters.address(), 4L * COUNTERS);
  }

  /** Returns whether heads of this many numbers, so many to a key, are attended to. */
  static boolean isSupported(DType cache, Shape heads) {
    return CudaCacheOps.isCacheType(cache)
        && heads.dim(0) % heads.dim(1) == 0
        && isHeadDim(heads.dim(2));
  }

  static boolean isHeadDim(long headDim) {
    return headDim % 8 == 0 && headDim <= MOST_HEAD_DIM;
  }

  @Override
  public void attend(
      Tensor out,
      @Nullable Tensor logSumExp,
      Tensor queries,
      float scale,
      List<AttendSequence> sequences) {
    CudaTensor to = CudaTensor.floats(out).gapless("a head");
    CudaTensor from = CudaTensor.floats(queries).gapless("a head");
    CudaTensor sums = logSumExp == null ? null : CudaTensor.floats(logSumExp).gapless("logSumExp");
    if (!out.shape().equals(queries.shape())) {
      throw misfit("The output " + out.shape(), queries);
    }
    if (sums != null && !sums.shape().equals(sumsOf(queries))) {
      throw misfit("The log-sum-exp " + sums.shape(), queries);
    }
    if (sequences.isEmpty() || queries.shape().elements() == 0) {
      return;
    }
    sequences.forEach(sequence -> requireFit(queries, sequence));
    DType cache = sequences.getFirst().layer().keys().dtype();
    if (sequences.stream().anyMatch(sequence -> sequence.layer().keys().dtype() != cache)) {
      throw new InferenceException(
          ErrorCode.UNSUPPORTED_OPERATION, "Caches of two types cannot be attended to at once.");
    }
    List<AttendSequence> rest =
        sequences.stream()
            .filter(sequence -> !attendFused(to, sums, from, scale, sequence))
            .toList();
    if (!rest.isEmpty()) {
      attendByOwnKernels(to, sums, from, scale, rest, cache);
    }
  }

  private void attendByOwnKernels(
      CudaTensor to,
      @Nullable CudaTensor sums,
      CudaTensor queries,
      float scale,
      List<AttendSequence> sequences,
      DType cache) {
    try (Lease sequenceList = sequences(sequences);
        Lease rangeList = ranges(sequences)) {
      int tokens = queries.shape().intDim(0);
      int kvHeads = sequences.getFirst().layer().kvHeads();
      int group = queries.shape().intDim(1) / kvHeads;
      int maxRows = sequences.stream().mapToInt(AttendSequence::rows).max().orElse(0);
      boolean few =
          maxRows <= FEW_ROWS
              && tokens <= FEW_TOKENS
              && group <= MOST_GROUP_OF_SPLIT
              && tokens * kvHeads <= COUNTERS;
      if (few) {
        attendFew(to, sums, queries, scale, sequences, sequenceList, rangeList, cache);
      } else {
        attendMany(
            to,
            sums,
            queries,
            scale,
            sequences.size(),
            maxRows,
            kvHeads,
            sequenceList,
            rangeList,
            cache);
      }
    }
  }

  /** Attends by cuDNN and returns true, or does nothing where it cannot serve. */
  private boolean attendFused(
      CudaTensor out,
      @Nullable CudaTensor sums,
      CudaTensor queries,
      float scale,
      AttendSequence sequence) {
    KvLayer layer = sequence.layer();
    int rows = sequence.rows();
    if (fused == null || rows < FUSED_ROWS || !isEven(sequence)) {
      return false;
    }
    int queryHeads = queries.shape().intDim(1);
    int headDim = queries.shape().intDim(2);
    DType cache = layer.keys().dtype();
    int mostRows = graphRows(rows);
    var key =
        new FusedAttention.Key(
            cache == DType.BF16 ? FusedAttention.Type.BF16 : FusedAttention.Type.F16,
            mostRows,
            layer.capacity(0),
            queryHeads,
            layer.kvHeads(),
            headDim,
            sequence.causal());
    CudaTensor ownQueries = queries.slice(0, sequence.firstRow(), sequence.firstRow() + rows);
    CudaTensor ownOut = out.slice(0, sequence.firstRow(), sequence.firstRow() + rows);
    int columns = queryHeads * headDim;
    boolean rowsAreGapless = queries.stride(1) == headDim && out.stride(1) == headDim;
    if (!rowsAreGapless || !fused.supports(key)) {
      return false;
    }
    Shape padded = Shape.of(queryHeads, mostRows);
    try (DeviceMemory halfQueries = runtime.temporary(2L * mostRows * columns);
        DeviceMemory halfOut = runtime.temporary(2L * mostRows * columns);
        DeviceMemory allSums = runtime.temporary(4L * queryHeads * mostRows);
        Lease rowCount = runtime.constant(new int[] {rows});
        Lease keyCount = runtime.constant(new int[] {sequence.toToken()[0]})) {
      moves.convert(
          cache,
          halfQueries.address(),
          columns,
          DType.F32,
          ownQueries.address(),
          ownQueries.stride(0),
          rows,
          columns);
      fused.attend(
          key,
          scale,
          halfOut.address(),
          allSums.address(),
          halfQueries.address(),
          CudaTensor.of(layer.keys()).address(),
          CudaTensor.of(layer.values()).address(),
          rowCount.address(),
          keyCount.address());
      moves.convert(
          DType.F32,
          ownOut.address(),
          ownOut.stride(0),
          cache,
          halfOut.address(),
          columns,
          rows,
          columns);
      if (sums != null) {
        var computed = new CudaTensor(allSums, DType.F32, Layout.contiguous(padded));
        moves.copy(
            sums.slice(1, sequence.firstRow(), sequence.firstRow() + rows),
            computed.slice(1, 0, rows));
      }
    }
    return true;
  }

  /**
   * Returns for how many rows a graph is built: eight sizes from one power of two to the next,
   * since building one takes long and rows that are not there take memory.
   */
  static int graphRows(int rows) {
    int step = Math.max(1, Integer.highestOneBit(rows) / 8);
    return (rows + step - 1) / step * step;
  }

  /** Returns whether the heads of a 16-bit layer are alike, so that they are one dense tensor. */
  private static boolean isEven(AttendSequence sequence) {
    KvLayer layer = sequence.layer();
    if (layer.keys().dtype() == DType.F32 || layer.headDim() > MOST_FUSED_HEAD_DIM) {
      return false;
    }
    for (int head = 0; head < layer.kvHeads(); head++) {
      if (layer.capacity(head) != layer.capacity(0)
          || sequence.fromToken()[head] != 0
          || sequence.toToken()[head] != sequence.toToken()[0]
          || sequence.toToken()[head] == 0) {
        return false;
      }
    }
    return true;
  }

  private void attendMany(
      CudaTensor out,
      @Nullable CudaTensor sums,
      CudaTensor queries,
      float scale,
      int sequences,
      int maxRows,
      int kvHeads,
      Lease sequenceList,
      Lease rangeList,
      DType cache) {
    int queryHeads = queries.shape().intDim(1);
    int headDim = queries.shape().intDim(2);
    boolean exact = cache == DType.F32;
    int tile = exact ? headDim : tileHeadDim(headDim);
    LaunchArguments arguments =
        LaunchArguments.begin()
            .address(out.address())
            .number(0)
            .address(sums == null ? 0 : sums.address())
            .address(queries.address())
            .number(0)
            .address(sequenceList.address())
            .address(rangeList.address())
            .number(scale)
            .number(queryHeads)
            .number(kvHeads)
            .number(headDim);
    strides(arguments, out, queries, sums);
    int rowsOfBlock = exact ? 32 : 64;
    runtime.launch(
        exact ? KernelSource.ATTENTION : KernelSource.ATTENTION_TILES,
        exact ? "attend_f32" : "attend_" + Moves.suffix(cache) + "_d" + tile,
        new Grid((maxRows + rowsOfBlock - 1) / rowsOfBlock, queryHeads, sequences),
        exact ? 256 : THREADS,
        exact ? exactSharedBytes(headDim) : tileSharedBytes(tile),
        arguments);
  }

  /** Returns the head of the least tile that holds one. */
  static int tileHeadDim(int headDim) {
    for (int tile : TILE_HEAD_DIMS) {
      if (tile >= headDim) {
        return tile;
      }
    }
    throw new InferenceException(
        ErrorCode.UNSUPPORTED_OPERATION,
        "The CUDA backend attends to heads of at most " + MOST_HEAD_DIM + ", not " + headDim + ".");
  }

  private static int tileSharedBytes(int tile) {
    int keys = tile <= 128 ? 64 : 32;
    return 2 * (64 + 4 * keys) * (tile + 8);
  }

  private static int exactSharedBytes(int headDim) {
    return 4 * (3 * 32 * (headDim + 4) + 32 * 36);
  }

  private void attendFew(
      CudaTensor out,
      @Nullable CudaTensor sums,
      CudaTensor queries,
      float scale,
      List<AttendSequence> sequences,
      Lease sequenceList,
      Lease rangeList,
      DType cache) {
    int tokens = queries.shape().intDim(0);
    int queryHeads = queries.shape().intDim(1);
    int headDim = queries.shape().intDim(2);
    int kvHeads = sequences.getFirst().layer().kvHeads();
    int splits = splits(maxKeys(sequences), tokens * kvHeads);
    try (DeviceMemory partial =
        runtime.temporary(4L * tokens * queryHeads * splits * (headDim + 2))) {
      LaunchArguments arguments =
          LaunchArguments.begin()
              .address(out.address())
              .address(sums == null ? 0 : sums.address())
              .address(queries.address())
              .address(sequenceList.address())
              .number(sequences.size())
              .address(rangeList.address())
              .number(scale)
              .number(queryHeads)
              .number(kvHeads)
              .number(headDim);
      strides(arguments, out, queries, sums);
      arguments.address(partial.address()).address(counters.address());
      runtime.launch(
          KernelSource.ATTENTION,
          "attend_split_" + Moves.suffix(cache),
          new Grid(splits, kvHeads, tokens),
          THREADS,
          0,
          arguments);
    }
  }

  private static void strides(
      LaunchArguments arguments, CudaTensor out, CudaTensor queries, @Nullable CudaTensor sums) {
    arguments
        .number(out.stride(0))
        .number(out.stride(1))
        .number(queries.stride(0))
        .number(queries.stride(1))
        .number(sums == null ? 0L : sums.stride(0));
  }

  private static int maxKeys(List<AttendSequence> sequences) {
    int max = 0;
    for (AttendSequence sequence : sequences) {
      for (int head = 0; head < sequence.layer().kvHeads(); head++) {
        max = Math.max(max, sequence.toToken()[head] - sequence.fromToken()[head]);
      }
    }
    return max;
  }

  /**
   * Returns into how many parts keys are cut: at most as many as the device works on at once, since
   * one more would have to wait for all others.
   */
  private int splits(int keys, int groups) {
    int wanted = BLOCKS_PER_MULTIPROCESSOR * runtime.context().device().multiprocessors() / groups;
    return Math.clamp(Math.min(keys / KEYS_PER_SPLIT, wanted), 1, MOST_SPLITS);
  }

  private Lease sequences(List<AttendSequence> sequences) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment list = arena.allocate((long) SEQUENCE_BYTES * sequences.size(), 8);
      for (int i = 0; i < sequences.size(); i++) {
        write(list.asSlice((long) SEQUENCE_BYTES * i, SEQUENCE_BYTES), sequences.get(i));
      }
      return runtime.constant(list);
    }
  }

  private static void write(MemorySegment struct, AttendSequence sequence) {
    KvLayer layer = sequence.layer();
    struct.set(ValueLayout.JAVA_LONG, 0, CudaTensor.of(layer.keys()).address());
    struct.set(ValueLayout.JAVA_LONG, 8, CudaTensor.of(layer.values()).address());
    struct.set(ValueLayout.JAVA_INT, 16, sequence.firstRow());
    struct.set(ValueLayout.JAVA_INT, 20, sequence.rows());
    struct.set(ValueLayout.JAVA_INT, 24, sequence.causal() ? 1 : 0);
  }

  private Lease ranges(List<AttendSequence> sequences) {
    int kvHeads = sequences.getFirst().layer().kvHeads();
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment list = arena.allocate((long) RANGE_BYTES * kvHeads * sequences.size(), 8);
      long at = 0;
      for (AttendSequence sequence : sequences) {
        for (int head = 0; head < kvHeads; head++) {
          list.set(ValueLayout.JAVA_INT, at, sequence.layer().firstSlot(head));
          list.set(ValueLayout.JAVA_INT, at + 4, sequence.fromToken()[head]);
          list.set(ValueLayout.JAVA_INT, at + 8, sequence.toToken()[head]);
          at += RANGE_BYTES;
        }
      }
      return runtime.constant(list);
    }
  }

  private static Shape sumsOf(Tensor queries) {
    return Shape.of(queries.shape().dim(1), queries.shape().dim(0));
  }

  private static InferenceException misfit(String what, Tensor queries) {
    return new InferenceException(
        ErrorCode.INTERNAL, what + " does not fit queries " + queries.shape() + ".");
  }

  private static void requireFit(Tensor queries, AttendSequence sequence) {
    KvLayer layer = sequence.layer();
    if (sequence.firstRow() < 0
        || sequence.rows() < 0
        || sequence.rows() > queries.shape().dim(0) - sequence.firstRow()) {
      throw misfit(
          "A sequence of the rows "
              + sequence.firstRow()
              + " to "
              + (sequence.firstRow() + sequence.rows()),
          queries);
    }
    Shape heads = Shape.of(queries.shape().dim(1), layer.kvHeads(), queries.shape().dim(2));
    if (queries.shape().dim(2) != layer.headDim()
        || queries.shape().dim(1) % layer.kvHeads() != 0) {
      throw new InferenceException(
          ErrorCode.INTERNAL,
          "Queries "
              + queries.shape()
              + " do not fit "
              + layer.kvHeads()
              + " kv heads of "
              + layer.headDim()
              + ".");
    }
    if (!isSupported(layer.keys().dtype(), heads)) {
      throw new InferenceException(
          ErrorCode.UNSUPPORTED_OPERATION,
          "The CUDA backend attends to heads of a multiple of 8 numbers, at most "
              + MOST_HEAD_DIM
              + ", not to "
              + layer.keys().dtype()
              + " heads of "
              + layer.headDim()
              + ".");
    }
  }

  @Override
  public void mergePartial(
      Tensor out,
      @Nullable Tensor logSumExp,
      List<Tensor> partialOuts,
      List<Tensor> partialLogSumExps) {
    if (partialOuts.isEmpty() || partialOuts.size() != partialLogSumExps.size()) {
      throw new InferenceException(
          ErrorCode.INTERNAL,
          partialOuts.size()
              + " partial outputs and "
              + partialLogSumExps.size()
              + " log-sum-exps cannot be merged.");
    }
    CudaTensor to = CudaTensor.floats(out).gapless("a head");
    CudaTensor sums = logSumExp == null ? null : CudaTensor.floats(logSumExp).gapless("logSumExp");
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment list = arena.allocate((long) PARTIAL_BYTES * partialOuts.size(), 8);
      for (int i = 0; i < partialOuts.size(); i++) {
        CudaTensor partial = CudaTensor.floats(partialOuts.get(i)).gapless("a head");
        CudaTensor partialSums = CudaTensor.floats(partialLogSumExps.get(i)).gapless("logSumExp");
        if (!partial.shape().equals(out.shape()) || !partialSums.shape().equals(sumsOf(out))) {
          throw new InferenceException(
              ErrorCode.INTERNAL,
              "A part "
                  + partial.shape()
                  + " with log-sum-exps "
                  + partialSums.shape()
                  + " does not fit the output "
                  + out.shape()
                  + ".");
        }
        long at = (long) PARTIAL_BYTES * i;
        list.set(ValueLayout.JAVA_LONG, at, partial.address());
        list.set(ValueLayout.JAVA_LONG, at + 8, partialSums.address());
        list.set(ValueLayout.JAVA_LONG, at + 16, partial.stride(0));
        list.set(ValueLayout.JAVA_LONG, at + 24, partial.stride(1));
        list.set(ValueLayout.JAVA_LONG, at + 32, partialSums.stride(0));
      }
      try (Lease parts = runtime.constant(list)) {
        runtime.launch(
            KernelSource.ATTENTION,
            "merge_partial_f32",
            new Grid(out.shape().dim(0), out.shape().dim(1), 1),
            THREADS,
            0,
            LaunchArguments.begin()
                .address(to.address())
                .address(sums == null ? 0 : sums.address())
                .address(parts.address())
                .number(partialOuts.size())
                .number(out.shape().intDim(1))
                .number(out.shape().intDim(2))
                .number(to.stride(0))
                .number(to.stride(1))
                .number(sums == null ? 0L : sums.stride(0)));
      }
    }
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
    CudaTensor to = CudaTensor.floats(mass).gapless("mass");
    CudaTensor from = CudaTensor.floats(queries).gapless("a head");
    CudaTensor sums = CudaTensor.floats(logSumExp).gapless("logSumExp");
    requireFit(queries, sequence);
    if (!sums.shape().equals(sumsOf(queries))) {
      throw misfit("The log-sum-exp " + sums.shape(), queries);
    }
    int kvHeads = sequence.layer().kvHeads();
    int queryHeads = queries.shape().intDim(1);
    int headDim = queries.shape().intDim(2);
    int rows = reduction == HeadReduction.NONE ? queryHeads : kvHeads;
    int keys = toToken - fromToken;
    if (windowQueries < 1
        || windowQueries > sequence.rows()
        || !mass.shape().equals(Shape.of(rows, keys))) {
      throw new InferenceException(
          ErrorCode.INTERNAL,
          "The attention of "
              + windowQueries
              + " of "
              + sequence.rows()
              + " queries to the tokens ["
              + fromToken
              + ", "
              + toToken
              + ") does not fit "
              + mass.shape()
              + ".");
    }
    DType cache = sequence.layer().keys().dtype();
    try (Lease rangeList = ranges(List.of(sequence))) {
      LaunchArguments arguments =
          LaunchArguments.begin()
              .address(to.address())
              .number(to.stride(0))
              .address(from.address())
              .number(0)
              .address(sums.address());
      write(arguments.structure(SEQUENCE_BYTES), sequence);
      arguments
          .address(rangeList.address())
          .number(scale)
          .number(queryHeads)
          .number(kvHeads)
          .number(headDim)
          .number(from.stride(0))
          .number(from.stride(1))
          .number(sums.stride(0))
          .number(windowQueries)
          .number(fromToken)
          .number(toToken)
          .number(code(reduction));
      int tile = (headDim + 15) / 16 * 16;
      runtime.launch(
          KernelSource.ATTENTION,
          "attention_mass_" + Moves.suffix(cache),
          new Grid((keys + 63) / 64, kvHeads, 1),
          THREADS,
          cache == DType.F32 ? 4 * 64 * (headDim + 4) * 2 : 2 * 128 * (tile + 8),
          arguments);
    }
  }

  private static int code(HeadReduction reduction) {
    return switch (reduction) {
      case MEAN -> 0;
      case MAX -> 1;
      case MIN -> 2;
      case NONE -> 3;
    };
  }

  @Override
  public void close() {
    counters.close();
    if (fused != null) {
      fused.close();
    }
  }
}
