package org.parallelcomp.backend.cpu.vector;

import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Random;
import java.util.stream.IntStream;
import org.parallelcomp.api.backend.AttendSequence;
import org.parallelcomp.api.backend.AttentionBlock;
import org.parallelcomp.api.backend.Backend;
import org.parallelcomp.api.backend.BackendConfig;
import org.parallelcomp.api.backend.FeedForwardBlock;
import org.parallelcomp.api.backend.MemoryScope;
import org.parallelcomp.api.backend.Rope;
import org.parallelcomp.api.backend.Scratch;
import org.parallelcomp.api.cache.KvLayer;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Shape;
import org.parallelcomp.api.tensor.Tensor;
import org.parallelcomp.backend.cpu.vector.simd.FmaPeak;
import org.parallelcomp.backend.cpu.vector.simd.SpinningWorkers;
import org.parallelcomp.backend.host.HostTensor;

/**
 * Prints what share of the cores' F32 FMA peak the kernels reach, and how long a layer takes. The
 * peak is measured between the runs, so that a machine that slows down slows both.
 *
 * <p>Arguments: threads (default 2), then parts of the names of the lines to run (default all).
 */
public final class KernelBenchmark implements AutoCloseable {
  private final Random random = new Random(1);
  private final SpinningWorkers workers;
  private final FmaPeak peak;
  private final Backend backend;
  private final List<String> only;

  private KernelBenchmark(int threads, List<String> only) {
    this.workers = new SpinningWorkers(threads);
    this.peak = new FmaPeak(workers);
    this.backend = new CpuBackendProvider().open(new BackendConfig(threads, Map.of()));
    this.only = only;
  }

  /** Runs the benchmark. */
  public static void main(String[] arguments) {
    int threads = arguments.length > 0 ? Integer.parseInt(arguments[0]) : 2;
    List<String> only =
        Arrays.asList(arguments).subList(Math.min(1, arguments.length), arguments.length);
    FmaPeak.warmUp();
    try (KernelBenchmark benchmark = new KernelBenchmark(threads, only)) {
      System.out.println(
          "line                                 best ms   GFLOP/s   share of peak   first ms");
      for (DType dtype : List.of(DType.F32, DType.F16, DType.Q8_0, DType.Q4_1)) {
        benchmark.linear(1920, 256, 768, dtype);
        benchmark.linear(2048, 576, 1536, dtype);
        benchmark.linear(2048, 1536, 576, dtype);
      }
      benchmark.attention(1920, 8, 4, 32);
      benchmark.attention(2048, 9, 3, 64);
      benchmark.attention(2048, 32, 8, 128);
      benchmark.layer("needle-6m", 1920, 256, 8, 4, 32, 768, DType.Q8_0);
      benchmark.layer("smollm2-135m", 2048, 576, 9, 3, 64, 1536, DType.Q4_1);
      benchmark.layer("needle-6m", 1, 256, 8, 4, 32, 768, DType.Q8_0);
      benchmark.layer("smollm2-135m", 1, 576, 9, 3, 64, 1536, DType.Q4_1);
    }
  }

  private void linear(int tokens, int inputDim, int outputDim, DType dtype) {
    try (MemoryScope scope = backend.openScope("linear")) {
      Tensor weight = weight(scope, dtype, outputDim, inputDim);
      Tensor in = floats(scope, tokens, inputDim);
      Tensor out = scope.allocate(DType.F32, Shape.of(tokens, outputDim));
      measure(
          String.format("linear %dx%dx%d %s", tokens, inputDim, outputDim, dtype),
          2.0 * tokens * inputDim * outputDim,
          () -> backend.decoder().linear(out, weight, null, in));
    }
  }

  private void attention(int tokens, int queryHeads, int kvHeads, int headDim) {
    try (MemoryScope scope = backend.openScope("attention")) {
      KvLayer layer = layer(scope, tokens, kvHeads, headDim);
      Tensor queries = floats(scope, tokens, queryHeads, headDim);
      Tensor out = scope.allocate(DType.F32, queries.shape());
      Tensor sums = scope.allocate(DType.F32, Shape.of(queryHeads, tokens));
      List<AttendSequence> all = List.of(AttendSequence.causal(0, tokens, layer));
      float scale = (float) (1 / Math.sqrt(headDim));
      measure(
          String.format("attention %d %d/%dx%d", tokens, queryHeads, kvHeads, headDim),
          4.0 * headDim * queryHeads * tokens * (tokens + 1) / 2,
          () -> backend.attention().attend(out, sums, queries, scale, all));
    }
  }

  /** A whole layer without its cache operations; one token sees 256 others. */
  private void layer(
      String model,
      int tokens,
      int hiddenDim,
      int queryHeads,
      int kvHeads,
      int headDim,
      int feedForwardDim,
      DType dtype) {
    try (MemoryScope scope = backend.openScope("layer");
        Scratch scratch = new Scratch(scope)) {
      int queryDim = queryHeads * headDim;
      int kvDim = kvHeads * headDim;
      Tensor norm = floats(scope, hiddenDim);
      AttentionBlock attention =
          new AttentionBlock(
              norm,
              weight(scope, dtype, queryDim, hiddenDim),
              null,
              weight(scope, dtype, kvDim, hiddenDim),
              null,
              weight(scope, dtype, kvDim, hiddenDim),
              null,
              null,
              null,
              weight(scope, dtype, hiddenDim, queryDim),
              null,
              1e-5f);
      FeedForwardBlock feedForward =
          new FeedForwardBlock(
              norm,
              weight(scope, dtype, feedForwardDim, hiddenDim),
              weight(scope, dtype, feedForwardDim, hiddenDim),
              weight(scope, dtype, hiddenDim, feedForwardDim),
              1e-5f);
      Tensor hidden = floats(scope, tokens, hiddenDim);
      Tensor queries = floats(scope, tokens, queryHeads, headDim);
      Tensor keys = floats(scope, tokens, kvHeads, headDim);
      Tensor values = floats(scope, tokens, kvHeads, headDim);
      Tensor out = floats(scope, tokens, queryHeads, headDim);
      Tensor positions = scope.allocate(DType.I32, Shape.of(tokens));
      backend.host().copyFromHost(positions, IntStream.range(0, tokens).toArray());
      Tensor angles = floats(scope, tokens, headDim / 2);
      Rope rope = new Rope(Rope.Style.INTERLEAVED, angles, angles);
      int cached = Math.max(tokens, 256);
      KvLayer layer = layer(scope, cached, kvHeads, headDim);
      List<AttendSequence> all = List.of(AttendSequence.causal(0, tokens, layer));
      double weights = (double) hiddenDim * (2 * queryDim + 2 * kvDim + 3 * feedForwardDim);
      double seen = tokens == 1 ? cached : (tokens + 1) / 2.0;
      String name = model + " " + tokens + " tokens " + dtype + " ";
      measure(
          name + "input",
          2.0 * tokens * hiddenDim * (queryDim + 2 * kvDim),
          () ->
              backend
                  .decoder()
                  .attentionInput(
                      queries, keys, values, attention, hidden, positions, rope, scratch));
      measure(
          name + "output",
          2.0 * tokens * hiddenDim * (queryDim + 3 * feedForwardDim),
          () ->
              backend
                  .decoder()
                  .attentionOutputAndFeedForward(hidden, out, attention, feedForward, scratch));
      measure(
          name + "layer",
          2.0 * tokens * weights + 4.0 * headDim * queryHeads * tokens * seen,
          () -> {
            backend
                .decoder()
                .attentionInput(queries, keys, values, attention, hidden, positions, rope, scratch);
            backend.attention().attend(out, null, queries, 0.1f, all);
            backend
                .decoder()
                .attentionOutputAndFeedForward(hidden, out, attention, feedForward, scratch);
          });
    }
  }

  private KvLayer layer(MemoryScope scope, int tokens, int kvHeads, int headDim) {
    int[] capacities = new int[kvHeads];
    Arrays.fill(capacities, tokens);
    KvLayer layer = backend.cache().allocate(scope, DType.F32, capacities, headDim);
    Tensor positions = scope.allocate(DType.I32, Shape.of(tokens));
    backend
        .cache()
        .append(
            layer,
            floats(scope, tokens, kvHeads, headDim),
            floats(scope, tokens, kvHeads, headDim),
            positions);
    return layer;
  }

  private Tensor floats(MemoryScope scope, long... dims) {
    Tensor tensor = scope.allocate(DType.F32, Shape.of(dims));
    float[] numbers = new float[(int) tensor.shape().elements()];
    for (int i = 0; i < numbers.length; i++) {
      numbers[i] = (float) random.nextGaussian() * 0.1f;
    }
    backend.host().copyFromHost(tensor, numbers);
    return tensor;
  }

  /** Stored numbers of a type: any bytes, but scales that are small. */
  private Tensor weight(MemoryScope scope, DType dtype, int rows, int columns) {
    if (dtype == DType.F32) {
      return floats(scope, rows, columns);
    }
    Tensor tensor = scope.allocate(dtype, Shape.of(rows, columns));
    byte[] bytes = new byte[(int) dtype.bytes(tensor.shape().elements())];
    random.nextBytes(bytes);
    for (int block = 0; block < bytes.length; block += dtype.blockBytes()) {
      bytes[block + 1] = 0x14;
      if (dtype == DType.Q4_1) {
        bytes[block + 3] = 0x14;
      }
    }
    java.lang.foreign.MemorySegment.copy(
        bytes,
        0,
        ((HostTensor) tensor).storage(),
        java.lang.foreign.ValueLayout.JAVA_BYTE,
        0,
        bytes.length);
    return tensor;
  }

  private void measure(String name, double flops, Runnable run) {
    if (!only.isEmpty() && only.stream().noneMatch(name::contains)) {
      return;
    }
    long start = System.nanoTime();
    run.run();
    double first = (System.nanoTime() - start) / 1e6;
    double best = Double.MAX_VALUE;
    double fastest = 0;
    long end = System.nanoTime() + 1_500_000_000L;
    for (int round = 0; round < 3 || System.nanoTime() < end; round++) {
      fastest = Math.max(fastest, peak.gigaflops());
      for (int i = 0; i < Math.clamp((long) (2e9 / flops), 1, 2000); i++) {
        start = System.nanoTime();
        run.run();
        best = Math.min(best, (System.nanoTime() - start) / 1e6);
      }
    }
    System.out.printf(
        Locale.ROOT,
        "%-36s %8.3f  %8.0f   %3.0f %% of %4.0f  %8.1f%n",
        name,
        best,
        flops / best / 1e6,
        100 * flops / best / 1e6 / fastest,
        fastest,
        first);
  }

  @Override
  public void close() {
    backend.close();
    workers.close();
  }
}
