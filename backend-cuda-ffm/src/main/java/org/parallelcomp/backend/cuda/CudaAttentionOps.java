package org.parallelcomp.backend.cuda;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.List;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.parallelcomp.api.backend.Arguments;
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
 * These take all sequences of a call at once, cuDNN one at a time.
 */
final class CudaAttentionOps implements AttentionOps, AutoCloseable {
  /** Greatest head that the kernels hold in a tile. */
  static final int MOST_HEAD_DIM = 256;

  private static final int[] TILE_HEAD_DIMS = {64, 128, 256};
  private static final int SEQUENCE_BYTES = 32;
  private static final int PARTIAL_BYTES = 40;
  private static final int THREADS = 128;

  /** Rows of a sequence up to which the keys and not the rows are spread over the device. */
  private static final int FEW_ROWS = 8;

  private static final int FEW_TOKENS = 64;
  private static final int MOST_GROUP_OF_SPLIT = 16;
  private static final int MOST_SPLITS = 64;

  /** Rows of a block of the kernel in tiles. */
  private static final int ROWS_OF_TILE = 64;

  private static final int MOST_PARTS = 16;
  private static final int KEYS_PER_SPLIT = 256;
  private static final int BLOCKS_PER_MULTIPROCESSOR = 2;
  private static final int COUNTERS = 1 << 14;

  private static final int ROWS_OF_FUSED_TILE = 128;

  /** Rows from which cuDNN's graph is worth its conversions. */
  private static final int FUSED_ROWS = 128;

  /**
   * The same where several sequences are attended to, since each takes four launches. Measured on
   * an H200: with chunks of 1024 tokens a whole prefill of Llama-3.1-8B's shape is 1 % faster by
   * cuDNN, with 512 it is 1 % slower, with 256 2.5 %; smaller models lose more.
   */
  private static final int FUSED_ROWS_OF_SEVERAL = 1024;

  /** Greatest head of cuDNN's kernel on Hopper. */
  private static final int MOST_FUSED_HEAD_DIM = 128;

  private final CudaRuntime runtime;
  private final Moves moves;
  private final HeadTables tables;
  private final @Nullable FusedAttention fused;

  /** Zero before and after each launch of the split kernel. */
  private final DeviceMemory counters;

  /** Results of the parts of the split kernel, until its last block has merged them. */
  private DeviceMemory partials;

  /**
   * @param fused cuDNN's attention, or null where the library is not there
   */
  CudaAttentionOps(
      CudaRuntime runtime, Moves moves, HeadTables tables, @Nullable FusedAttention fused) {
    this.runtime = runtime;
    this.moves = moves;
    this.tables = tables;
    this.fused = fused;
    this.counters = runtime.temporary(4L * COUNTERS);
    runtime.stream().clear(counters.address(), 4L * COUNTERS);
    this.partials = runtime.temporary(0);
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

  /** What one call attends to, its tensors as this backend's own. */
  private record Attention(
      CudaTensor out,
      @Nullable CudaTensor sums,
      CudaTensor queries,
      float scale,
      List<AttendSequence> sequences) {
    int tokens() {
      return queries.shape().intDim(0);
    }

    int queryHeads() {
      return queries.shape().intDim(1);
    }

    int headDim() {
      return queries.shape().intDim(2);
    }

    int kvHeads() {
      return sequences.getFirst().layer().kvHeads();
    }

    DType cache() {
      return sequences.getFirst().layer().keys().dtype();
    }

    /** Returns the most rows of a sequence. */
    int mostRows() {
      return sequences.stream().mapToInt(AttendSequence::rows).max().orElse(0);
    }

    /** Returns the most keys that a head of a sequence shows. */
    int mostKeys() {
      int most = 0;
      for (AttendSequence sequence : sequences) {
        for (int head = 0; head < sequence.layer().kvHeads(); head++) {
          most = Math.max(most, sequence.toToken()[head] - sequence.fromToken()[head]);
        }
      }
      return most;
    }

    /** The same for some of the sequences. */
    Attention of(List<AttendSequence> some) {
      return new Attention(out, sums, queries, scale, some);
    }

    /** The same, with results elsewhere. */
    Attention into(CudaTensor otherOut, CudaTensor otherSums) {
      return new Attention(otherOut, otherSums, queries, scale, sequences);
    }
  }

  @Override
  public void attend(
      Tensor out,
      @Nullable Tensor logSumExp,
      Tensor queries,
      float scale,
      List<AttendSequence> sequences) {
    Arguments.requireAttend(out, logSumExp, queries, sequences);
    var attention =
        new Attention(
            CudaTensor.floats(out).gapless("a head"),
            logSumExp == null ? null : CudaTensor.floats(logSumExp).gapless("logSumExp"),
            CudaTensor.floats(queries).gapless("a head"),
            scale,
            sequences);
    if (sequences.isEmpty() || queries.shape().elements() == 0) {
      return;
    }
    sequences.forEach(sequence -> requireSupported(queries, sequence));
    DType cache = attention.cache();
    if (sequences.stream().anyMatch(sequence -> sequence.layer().keys().dtype() != cache)) {
      throw new InferenceException(
          ErrorCode.UNSUPPORTED_OPERATION, "Caches of two types cannot be attended to at once.");
    }
    List<AttendSequence> rest =
        sequences.stream().filter(sequence -> !attendFused(attention, sequence)).toList();
    if (!rest.isEmpty()) {
      attendByOwnKernels(attention.of(rest));
    }
  }

  /** One caller at a time, since launches that belong together share the memory of parts. */
  private synchronized void attendByOwnKernels(Attention attention) {
    List<AttendSequence> sequences = attention.sequences;
    int tokens = attention.tokens();
    boolean few =
        attention.mostRows() <= FEW_ROWS
            && tokens <= FEW_TOKENS
            && attention.queryHeads() / attention.kvHeads() <= MOST_GROUP_OF_SPLIT
            && tokens * attention.kvHeads() <= COUNTERS;
    long table = few && sequences.size() == 1 ? tableOf(sequences.getFirst()) : 0;
    try (Lease sequenceList = sequences(sequences)) {
      if (table != 0) {
        attendFew(attention, sequenceList, table);
        return;
      }
      try (Lease ranges = ranges(sequences)) {
        if (few) {
          attendFew(attention, sequenceList, ranges.address());
        } else {
          attendMany(attention, sequenceList, ranges);
        }
      }
    }
  }

  /** Returns the table of a layer of which a sequence sees everything, or 0. */
  private long tableOf(AttendSequence sequence) {
    boolean seesAll =
        Arrays.stream(sequence.fromToken()).allMatch(from -> from == 0)
            && Arrays.equals(sequence.toToken(), sequence.layer().tokens());
    return seesAll ? tables.ranges(sequence.layer()) : 0;
  }

  /**
   * Attends by cuDNN and hands on what was attended to as it comes, {@code [tokens, queryHeads *
   * headDim]} of the cache's type without gaps; or does nothing and returns false, where cuDNN
   * cannot serve all rows at once.
   *
   * @param use sees a tensor that lives no longer than the call
   */
  boolean attendHalf(
      @Nullable Tensor logSumExp,
      Tensor queries,
      float scale,
      List<AttendSequence> sequences,
      Consumer<CudaTensor> use) {
    Arguments.requireAttend(queries, logSumExp, queries, sequences);
    if (sequences.size() != 1 || sequences.getFirst().rows() != queries.shape().dim(0)) {
      return false;
    }
    requireSupported(queries, sequences.getFirst());
    return attendFused(
        logSumExp == null ? null : CudaTensor.floats(logSumExp).gapless("logSumExp"),
        CudaTensor.floats(queries).gapless("a head"),
        scale,
        sequences.getFirst(),
        use);
  }

  /** Attends to one sequence by cuDNN and returns true, or does nothing where it cannot serve. */
  private boolean attendFused(Attention attention, AttendSequence sequence) {
    int end = sequence.firstRow() + sequence.rows();
    CudaTensor out = attention.out.slice(0, sequence.firstRow(), end);
    boolean tooFew = attention.sequences.size() > 1 && sequence.rows() < FUSED_ROWS_OF_SEVERAL;
    if (tooFew || out.stride(1) != attention.headDim()) {
      return false;
    }
    return attendFused(
        attention.sums,
        attention.queries,
        attention.scale,
        sequence,
        half ->
            moves.convert(
                DType.F32,
                out.address(),
                out.stride(0),
                half.dtype(),
                half.address(),
                half.stride(0),
                half.shape().dim(0),
                half.shape().intDim(1)));
  }

  /**
   * The same, with what was attended to in the cache's type.
   *
   * @param sums of all sequences, or null
   * @param allQueries of all sequences
   */
  private boolean attendFused(
      @Nullable CudaTensor sums,
      CudaTensor allQueries,
      float scale,
      AttendSequence sequence,
      Consumer<CudaTensor> use) {
    KvLayer layer = sequence.layer();
    int rows = sequence.rows();
    if (fused == null || rows < FUSED_ROWS || !isEven(sequence)) {
      return false;
    }
    int queryHeads = allQueries.shape().intDim(1);
    int headDim = layer.headDim();
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
    int end = sequence.firstRow() + rows;
    CudaTensor queries = allQueries.slice(0, sequence.firstRow(), end);
    if (queries.stride(1) != headDim || !fused.supports(key)) {
      return false;
    }
    int columns = queryHeads * headDim;
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
          queries.address(),
          queries.stride(0),
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
      if (sums != null) {
        Shape padded = Shape.of(queryHeads, mostRows);
        var computed = new CudaTensor(allSums, DType.F32, Layout.contiguous(padded));
        moves.copy(sums.slice(1, sequence.firstRow(), end), computed.slice(1, 0, rows));
      }
      use.accept(new CudaTensor(halfOut, cache, Layout.contiguous(Shape.of(rows, columns))));
    }
    return true;
  }

  /**
   * Returns for how many rows a graph is built: eight sizes from one power of two to the next,
   * since building one takes long, but at most a tile's rows too many, since cuDNN works on rows
   * that are not there (8236 rows as 9216 take a fifth longer than as 8320).
   */
  static int graphRows(int rows) {
    int step = Math.clamp(Integer.highestOneBit(rows) / 8, 1, ROWS_OF_FUSED_TILE);
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

  private void attendMany(Attention attention, Lease sequenceList, Lease ranges) {
    int parts = attention.cache() == DType.F32 ? 1 : partsOfKeys(attention);
    if (parts == 1) {
      launchMany(attention, sequenceList, ranges, 1);
      return;
    }
    Shape shape = attention.queries.shape();
    long numbers = parts * shape.elements();
    long sumsOfParts = parts * shape.dim(0) * shape.dim(1);
    var memory =
        new CudaTensor(
            partials(4 * (numbers + sumsOfParts)),
            DType.F32,
            Layout.contiguous(Shape.of(numbers + sumsOfParts)));
    List<CudaTensor> partOuts = split(memory.slice(0, 0, numbers), parts, shape);
    List<CudaTensor> partSums =
        split(
            memory.slice(0, numbers, numbers + sumsOfParts),
            parts,
            Shape.of(shape.dim(1), shape.dim(0)));
    launchMany(
        attention.into(partOuts.getFirst(), partSums.getFirst()), sequenceList, ranges, parts);
    merge(attention.out, attention.sums, partOuts, partSums);
  }

  private static List<CudaTensor> split(CudaTensor numbers, int parts, Shape shape) {
    long of = shape.elements();
    return IntStream.range(0, parts)
        .mapToObj(part -> numbers.slice(0, part * of, (part + 1) * of).reshape(shape))
        .toList();
  }

  /**
   * Returns into how many parts the keys of rows are cut that are too few to fill the device, as
   * those of a question behind a chunk.
   */
  private int partsOfKeys(Attention attention) {
    int rows = attention.mostRows();
    if (attention.sequences.size() > 1 || rows != attention.tokens()) {
      return 1;
    }
    int blocks = (rows + ROWS_OF_TILE - 1) / ROWS_OF_TILE * attention.queryHeads();
    int wanted = BLOCKS_PER_MULTIPROCESSOR * runtime.context().device().multiprocessors() / blocks;
    return Math.clamp(Math.min(attention.mostKeys() / KEYS_PER_SPLIT, wanted), 1, MOST_PARTS);
  }

  /**
   * Launches the kernel in tiles.
   *
   * @param parts into how many parts keys are cut; the outputs are those of the first, and the
   *     others lie behind without gaps
   */
  private void launchMany(Attention attention, Lease sequenceList, Lease ranges, int parts) {
    CudaTensor out = attention.out;
    CudaTensor sums = attention.sums;
    int queryHeads = attention.queryHeads();
    int headDim = attention.headDim();
    int mostRows = attention.mostRows();
    int sequences = attention.sequences.size();
    LaunchArguments arguments =
        LaunchArguments.begin()
            .address(out.address())
            .number(0)
            .address(sums == null ? 0 : sums.address())
            .address(attention.queries.address())
            .number(0)
            .address(sequenceList.address())
            .address(ranges.address())
            .number(attention.scale)
            .number(queryHeads)
            .number(attention.kvHeads())
            .number(headDim);
    strides(arguments, attention);
    if (attention.cache() == DType.F32) {
      runtime.launch(
          KernelSource.ATTENTION,
          "attend_f32",
          new Grid((mostRows + 31) / 32, queryHeads, sequences),
          256,
          exactSharedBytes(headDim),
          arguments);
    } else {
      int tile = tileHeadDim(headDim);
      runtime.launch(
          KernelSource.ATTENTION_TILES,
          "attend_" + Moves.suffix(attention.cache()) + "_d" + tile,
          new Grid(
              (mostRows + ROWS_OF_TILE - 1) / ROWS_OF_TILE, queryHeads, (long) sequences * parts),
          THREADS,
          tileSharedBytes(tile),
          arguments
              .number(parts)
              .number(out.shape().elements())
              .number(sums == null ? 0L : sums.shape().elements()));
    }
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

  private void attendFew(Attention attention, Lease sequenceList, long ranges) {
    CudaTensor sums = attention.sums;
    int tokens = attention.tokens();
    int queryHeads = attention.queryHeads();
    int headDim = attention.headDim();
    int kvHeads = attention.kvHeads();
    int splits = splits(attention.mostKeys(), tokens * kvHeads);
    long partialBytes = 4L * tokens * queryHeads * splits * (headDim + 2);
    LaunchArguments arguments =
        LaunchArguments.begin()
            .address(attention.out.address())
            .address(sums == null ? 0 : sums.address())
            .address(attention.queries.address())
            .address(sequenceList.address())
            .number(attention.sequences.size())
            .address(ranges)
            .number(attention.scale)
            .number(queryHeads)
            .number(kvHeads)
            .number(headDim);
    strides(arguments, attention);
    arguments.address(partials(partialBytes).address()).address(counters.address());
    runtime.launch(
        KernelSource.ATTENTION,
        "attend_split_" + Moves.suffix(attention.cache()),
        new Grid(splits, kvHeads, tokens),
        THREADS,
        0,
        arguments);
  }

  /**
   * Returns memory for results of parts, one for all launches, since to take and give back some at
   * each would cost decoding more than a launch. Who puts in one launch that writes it and another
   * that reads it must let no other come between.
   */
  private DeviceMemory partials(long bytes) {
    if (partials.bytes() < bytes) {
      partials.close();
      partials = runtime.temporary(bytes);
    }
    return partials;
  }

  private static void strides(LaunchArguments arguments, Attention attention) {
    arguments
        .number(attention.out.stride(0))
        .number(attention.out.stride(1))
        .number(attention.queries.stride(0))
        .number(attention.queries.stride(1))
        .number(attention.sums == null ? 0L : attention.sums.stride(0));
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
      long bytes = HeadTables.RANGE_BYTES;
      MemorySegment list = arena.allocate(bytes * kvHeads * sequences.size(), 4);
      long at = 0;
      for (AttendSequence sequence : sequences) {
        for (int head = 0; head < kvHeads; head++) {
          HeadTables.write(
              list.asSlice(at, bytes),
              sequence.layer().firstSlot(head),
              sequence.fromToken()[head],
              sequence.toToken()[head]);
          at += bytes;
        }
      }
      return runtime.constant(list);
    }
  }

  private static void requireSupported(Tensor queries, AttendSequence sequence) {
    KvLayer layer = sequence.layer();
    Shape heads = Shape.of(queries.shape().dim(1), layer.kvHeads(), queries.shape().dim(2));
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
    Arguments.requireMergePartial(out, logSumExp, partialOuts, partialLogSumExps);
    merge(
        CudaTensor.floats(out).gapless("a head"),
        logSumExp == null ? null : CudaTensor.floats(logSumExp).gapless("logSumExp"),
        partialOuts.stream().map(part -> CudaTensor.floats(part).gapless("a head")).toList(),
        partialLogSumExps.stream()
            .map(part -> CudaTensor.floats(part).gapless("logSumExp"))
            .toList());
  }

  private void merge(
      CudaTensor out,
      @Nullable CudaTensor sums,
      List<CudaTensor> partialOuts,
      List<CudaTensor> partialSums) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment list = arena.allocate((long) PARTIAL_BYTES * partialOuts.size(), 8);
      for (int i = 0; i < partialOuts.size(); i++) {
        CudaTensor partial = partialOuts.get(i);
        long at = (long) PARTIAL_BYTES * i;
        list.set(ValueLayout.JAVA_LONG, at, partial.address());
        list.set(ValueLayout.JAVA_LONG, at + 8, partialSums.get(i).address());
        list.set(ValueLayout.JAVA_LONG, at + 16, partial.stride(0));
        list.set(ValueLayout.JAVA_LONG, at + 24, partial.stride(1));
        list.set(ValueLayout.JAVA_LONG, at + 32, partialSums.get(i).stride(0));
      }
      try (Lease parts = runtime.constant(list)) {
        runtime.launch(
            KernelSource.ATTENTION,
            "merge_partial_f32",
            new Grid(out.shape().dim(0), out.shape().dim(1), 1),
            THREADS,
            0,
            LaunchArguments.begin()
                .address(out.address())
                .address(sums == null ? 0 : sums.address())
                .address(parts.address())
                .number(partialOuts.size())
                .number(out.shape().intDim(1))
                .number(out.shape().intDim(2))
                .number(out.stride(0))
                .number(out.stride(1))
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
    Arguments.requireAttentionMass(
        mass, queries, logSumExp, sequence, windowQueries, fromToken, toToken, reduction);
    requireSupported(queries, sequence);
    CudaTensor to = CudaTensor.floats(mass).gapless("mass");
    CudaTensor from = CudaTensor.floats(queries).gapless("a head");
    CudaTensor sums = CudaTensor.floats(logSumExp).gapless("logSumExp");
    int kvHeads = sequence.layer().kvHeads();
    int queryHeads = queries.shape().intDim(1);
    int headDim = queries.shape().intDim(2);
    int keys = toToken - fromToken;
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
    partials.close();
    if (fused != null) {
      fused.close();
    }
  }
}
