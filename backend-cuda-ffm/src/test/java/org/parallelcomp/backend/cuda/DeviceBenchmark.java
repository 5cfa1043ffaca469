package org.parallelcomp.backend.cuda;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.stream.IntStream;
import org.parallelcomp.api.backend.AttendSequence;
import org.parallelcomp.api.backend.AttentionBlock;
import org.parallelcomp.api.backend.BackendConfig;
import org.parallelcomp.api.backend.FeedForwardBlock;
import org.parallelcomp.api.backend.MemoryScope;
import org.parallelcomp.api.backend.Rope;
import org.parallelcomp.api.backend.Scratch;
import org.parallelcomp.api.cache.KvLayer;
import org.parallelcomp.api.cache.TokenSelection;
import org.parallelcomp.api.evidence.HeadReduction;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Shape;
import org.parallelcomp.api.tensor.Tensor;
import org.parallelcomp.backend.cuda.ffi.CudaEvent;
import org.parallelcomp.backend.cuda.ffi.CudaStream;

/**
 * Measures the operations of the backend in the order of a model with the shape of Llama-3.1-8B and
 * random BF16 weights: prefill of a chunk, of chunks with scoring and eviction, and decoding. A
 * program, not a test.
 *
 * <pre>
 * DeviceBenchmark [chunks] [tokens of a chunk]
 * </pre>
 */
public final class DeviceBenchmark implements AutoCloseable {
  private static final int LAYERS = 32;
  private static final int QUERY_HEADS = 32;
  private static final int KV_HEADS = 8;
  private static final int HEAD_DIM = 128;
  private static final int HIDDEN = 4096;
  private static final int FEED_FORWARD = 14336;
  private static final int VOCAB = 128256;
  private static final int WINDOW = 64;
  private static final int KEPT = 768;
  private static final float SCALE = (float) (1 / Math.sqrt(HEAD_DIM));

  /** Elements between the beginnings of neighbouring rows in the source of random numbers. */
  private static final int SHIFT = 257;

  private final int chunkTokens;
  private final CudaBackend backend;
  private final MemoryScope model;
  private final CudaTensor randomNumbers;
  private final Tensor embedding;
  private final Tensor output;
  private final Tensor norm;
  private final List<AttentionBlock> attention = new ArrayList<>();
  private final List<FeedForwardBlock> feedForward = new ArrayList<>();
  private final Rope rope;
  private final Random random = new Random(1);
  private final List<Mark> marks = new ArrayList<>();
  private boolean profiling;

  private DeviceBenchmark(int chunkTokens) {
    this.chunkTokens = chunkTokens;
    this.backend = (CudaBackend) new CudaBackendProvider().open(new BackendConfig(1, Map.of()));
    this.model = backend.openScope("model");
    float[] numbers = new float[SHIFT * VOCAB + 2 * FEED_FORWARD];
    for (int i = 0; i < numbers.length; i++) {
      numbers[i] = (float) random.nextGaussian() * 0.02f;
    }
    try (MemoryScope source = backend.openScope("random")) {
      randomNumbers = (CudaTensor) source.allocate(DType.F32, Shape.of(numbers.length));
      backend.host().copyFromHost(randomNumbers, numbers);
      embedding = weights(VOCAB, HIDDEN);
      output = weights(VOCAB, HIDDEN);
      norm = backend.tensorOps(model).full(Shape.of(HIDDEN), 1);
      for (int layer = 0; layer < LAYERS; layer++) {
        attention.add(
            new AttentionBlock(
                norm,
                weights(QUERY_HEADS * HEAD_DIM, HIDDEN),
                null,
                weights(KV_HEADS * HEAD_DIM, HIDDEN),
                null,
                weights(KV_HEADS * HEAD_DIM, HIDDEN),
                null,
                null,
                null,
                weights(HIDDEN, QUERY_HEADS * HEAD_DIM),
                null,
                1e-5f));
        feedForward.add(
            new FeedForwardBlock(
                norm,
                weights(FEED_FORWARD, HIDDEN),
                weights(FEED_FORWARD, HIDDEN),
                weights(HIDDEN, FEED_FORWARD),
                1e-5f));
      }
      backend.runtime().stream().synchronize();
    }
    this.rope = rope(2 * chunkTokens + KEPT);
  }

  private Tensor weights(int rows, int columns) {
    CudaTensor matrix =
        CudaMemoryScope.of(model).allocateUndefined(DType.BF16, Shape.of(rows, columns));
    backend
        .moves()
        .convert(
            DType.BF16,
            matrix.address(),
            columns,
            DType.F32,
            randomNumbers.address() + 4L * random.nextInt(FEED_FORWARD),
            SHIFT,
            rows,
            columns);
    return new CudaTensor(matrix.storage(), DType.BF16, matrix.layout(), true);
  }

  private Rope rope(int positions) {
    int pairs = HEAD_DIM / 2;
    float[] cosines = new float[positions * pairs];
    float[] sines = new float[cosines.length];
    for (int i = 0; i < cosines.length; i++) {
      double angle = i / pairs * Math.pow(500_000, -2.0 * (i % pairs) / HEAD_DIM);
      cosines[i] = (float) Math.cos(angle);
      sines[i] = (float) Math.sin(angle);
    }
    Shape shape = Shape.of(positions, pairs);
    return new Rope(
        Rope.Style.HALF_SPLIT,
        backend.tensorOps(model).constant(shape, cosines),
        backend.tensorOps(model).constant(shape, sines));
  }

  /** A moment in the stream, and what was done before it. */
  private record Mark(String done, CudaEvent event) {}

  private void mark(String done) {
    if (profiling) {
      CudaEvent event = CudaEvent.create(backend.runtime().context(), true);
      event.record(backend.runtime().stream());
      marks.add(new Mark(done, event));
    }
  }

  private void printProfile(String name) {
    backend.runtime().stream().synchronize();
    Map<String, Double> totals = new TreeMap<>();
    for (int i = 1; i < marks.size(); i++) {
      float milliseconds = marks.get(i).event.millisecondsSince(marks.get(i - 1).event);
      totals.merge(marks.get(i).done, (double) milliseconds, Double::sum);
    }
    totals.forEach((done, milliseconds) -> print(name + "_" + done + "_ms", milliseconds));
    marks.forEach(mark -> mark.event.close());
    marks.clear();
  }

  private interface AfterAttention {
    void see(int layer, Tensor queries, Tensor logSumExp, AttendSequence sequence);
  }

  /** Runs tokens through all layers and returns the logits of the last rows. */
  private Tensor forward(
      int[] ids,
      int firstPosition,
      int outputRows,
      List<KvLayer> caches,
      Scratch scratch,
      boolean wantsSums,
      AfterAttention after) {
    backend.host().copyFromHost(scratch.takeIntegers("ids", ids.length), ids);
    backend
        .host()
        .copyFromHost(
            scratch.takeIntegers("positions", ids.length),
            IntStream.range(firstPosition, firstPosition + ids.length).toArray());
    return forward(ids.length, outputRows, caches, scratch, wantsSums, after);
  }

  /** The same of tokens whose ids and positions are there already. */
  private Tensor forward(
      int tokens,
      int outputRows,
      List<KvLayer> caches,
      Scratch scratch,
      boolean wantsSums,
      AfterAttention after) {
    Tensor tokenIds = scratch.takeIntegers("ids", tokens);
    Tensor positions = scratch.takeIntegers("positions", tokens);
    Tensor hidden = scratch.take("hidden", tokens, HIDDEN);
    Tensor queries = scratch.take("queries", tokens, QUERY_HEADS, HEAD_DIM);
    Tensor keys = scratch.take("keys", tokens, KV_HEADS, HEAD_DIM);
    Tensor values = scratch.take("values", tokens, KV_HEADS, HEAD_DIM);
    Tensor attended = scratch.take("attended", tokens, QUERY_HEADS, HEAD_DIM);
    Tensor sums = scratch.take("sums", QUERY_HEADS, tokens);
    mark("start");
    backend.decoder().embed(hidden, embedding, tokenIds);
    mark("embed");
    for (int layer = 0; layer < LAYERS; layer++) {
      backend
          .decoder()
          .attentionInput(
              queries, keys, values, attention.get(layer), hidden, positions, rope, scratch);
      mark("attention_input");
      backend.cache().append(caches.get(layer), keys, values, positions);
      mark("append");
      var sequence = AttendSequence.causal(0, tokens, caches.get(layer));
      backend
          .attention()
          .attend(attended, wantsSums ? sums : null, queries, SCALE, List.of(sequence));
      mark("attend");
      after.see(layer, queries, sums, sequence);
      mark("policies");
      backend
          .decoder()
          .attentionOutputAndFeedForward(
              hidden, attended, attention.get(layer), feedForward.get(layer), scratch);
      mark("output_and_feed_forward");
    }
    Tensor last = hidden.slice(0, tokens - outputRows, tokens);
    Tensor normed = scratch.take("lastNormed", outputRows, HIDDEN);
    Tensor logits = scratch.take("logits", outputRows, VOCAB);
    backend.decoder().rmsNorm(normed, last, norm, 1e-5f);
    backend.decoder().linear(logits, output, null, normed);
    mark("logits");
    return logits;
  }

  private int[] ids(int count) {
    return IntStream.range(0, count).map(i -> random.nextInt(VOCAB)).toArray();
  }

  private List<KvLayer> caches(MemoryScope scope, int capacity) {
    int[] capacities = new int[KV_HEADS];
    Arrays.fill(capacities, capacity);
    return IntStream.range(0, LAYERS)
        .mapToObj(i -> backend.cache().allocate(scope, DType.BF16, capacities, HEAD_DIM))
        .toList();
  }

  private static void forget(List<KvLayer> caches) {
    for (KvLayer layer : caches) {
      for (int head = 0; head < KV_HEADS; head++) {
        layer.setTokens(head, 0);
      }
    }
  }

  private void oneChunk() {
    try (MemoryScope scope = backend.openScope("chunk");
        Scratch scratch = new Scratch(scope)) {
      List<KvLayer> caches = caches(scope, chunkTokens);
      int[] ids = ids(chunkTokens);
      double[] seconds = new double[5];
      for (int round = -1; round < seconds.length; round++) {
        forget(caches);
        backend.runtime().stream().synchronize();
        long start = System.nanoTime();
        forward(ids, 0, 1, caches, scratch, false, (l, q, s, a) -> {});
        backend.runtime().stream().synchronize();
        if (round >= 0) {
          seconds[round] = (System.nanoTime() - start) * 1e-9;
        }
      }
      Arrays.sort(seconds);
      print("prefill_" + chunkTokens + "_s", seconds[2]);
      print("prefill_" + chunkTokens + "_tok_per_s", chunkTokens / seconds[2]);
      forget(caches);
      profiling = true;
      forward(ids, 0, 1, caches, scratch, false, (l, q, s, a) -> {});
      printProfile("prefill");
      profiling = false;
    }
  }

  /** Prefills chunks with scoring and eviction, and then decodes over what they keep. */
  private void chunks(int chunks) {
    backend.runtime().context().resetPeak();
    try (MemoryScope scope = backend.openScope("request");
        Scratch scratch = new Scratch(scope)) {
      List<KvLayer> uncut = caches(scope, chunkTokens);
      List<KvLayer> kept = caches(scope, chunks * KEPT + 512);
      Tensor likelihoods = scope.allocate(DType.F32, Shape.of(WINDOW));
      int[] target = ids(WINDOW);
      Tensor targets = scope.allocate(DType.I32, Shape.of(WINDOW));
      backend.host().copyFromHost(targets, target);
      backend.runtime().stream().synchronize();
      long start = System.nanoTime();
      float score = 0;
      for (int chunk = 0; chunk < chunks; chunk++) {
        forget(uncut);
        Tensor logits =
            forward(
                ids(chunkTokens),
                0,
                WINDOW,
                uncut,
                scratch,
                true,
                (layer, queries, sums, sequence) ->
                    keep(scope, kept, layer, queries, sums, sequence));
        backend.decoder().tokenLogLikelihood(likelihoods, logits, targets);
        score += backend.host().copyToHostFloats(likelihoods)[0];
      }
      backend.runtime().stream().synchronize();
      double seconds = (System.nanoTime() - start) * 1e-9;
      print("chunks_" + chunks + "_s", seconds);
      print("chunks_" + chunks + "_tok_per_s", chunks * chunkTokens / seconds);
      print(
          "chunks_" + chunks + "_peak_gib",
          backend.runtime().context().peakBytes() / (double) (1 << 30));
      print("score", score / chunks);
      profiling = true;
      forget(uncut);
      try (MemoryScope spare = backend.openScope("spare")) {
        List<KvLayer> spared = caches(spare, KEPT);
        forward(
            ids(chunkTokens),
            0,
            WINDOW,
            uncut,
            scratch,
            true,
            (layer, q, sums, sequence) -> keep(spare, spared, layer, q, sums, sequence));
      }
      printProfile("chunk");
      profiling = false;
      question(scratch, uncut);
      decode(scratch, kept, chunks);
    }
    // The same without evidence and eviction: the difference is what policies cost.
    try (MemoryScope scope = backend.openScope("plain");
        Scratch scratch = new Scratch(scope)) {
      List<KvLayer> uncut = caches(scope, chunkTokens);
      for (int round = 0; round < 2; round++) {
        backend.runtime().stream().synchronize();
        long start = System.nanoTime();
        for (int chunk = 0; chunk < Math.min(4, chunks); chunk++) {
          forget(uncut);
          forward(ids(chunkTokens), 0, WINDOW, uncut, scratch, true, (l, q, s, a) -> {});
        }
        backend.runtime().stream().synchronize();
        if (round == 1) {
          print(
              "chunk_without_policies_s", (System.nanoTime() - start) * 1e-9 / Math.min(4, chunks));
        }
      }
    }
  }

  private void keep(
      MemoryScope scope,
      List<KvLayer> kept,
      int layer,
      Tensor queries,
      Tensor sums,
      AttendSequence sequence) {
    int context = chunkTokens - WINDOW;
    try (MemoryScope policy = scope.child("policy")) {
      Tensor mass =
          CudaMemoryScope.of(policy).allocateUndefined(DType.F32, Shape.of(KV_HEADS, context));
      backend
          .attention()
          .attentionMass(
              mass, queries, sums, SCALE, sequence, WINDOW, 0, context, HeadReduction.MEAN);
      Tensor pooled = backend.tensorOps(policy).averagePool1d(mass, 7);
      Tensor best = backend.tensorOps(policy).topK(pooled, KEPT);
      KvLayer compact =
          backend
              .cache()
              .compact(policy, sequence.layer(), 0, TokenSelection.uniform(context, best));
      backend.cache().concatenate(kept.get(layer), compact);
    }
  }

  private void decode(Scratch scratch, List<KvLayer> kept, int chunks) {
    int steps = 64;
    int[] next = ids(1);
    long start = 0;
    for (int step = -4; step < steps; step++) {
      if (step == 0) {
        backend.runtime().stream().synchronize();
        start = System.nanoTime();
      }
      Tensor logits =
          forward(next, chunkTokens + 4 + step, 1, kept, scratch, false, (l, q, s, a) -> {});
      try (MemoryScope scope = backend.openScope("step")) {
        next = backend.host().copyToHostInts(backend.tensorOps(scope).argMax(logits));
      }
    }
    double seconds = (System.nanoTime() - start) * 1e-9;
    print("decode_over_" + chunks * KEPT + "_tok_per_s", steps / seconds);
    decodeOnDevice(scratch, kept, steps);
    profiling = true;
    forward(next, chunkTokens + 4 + steps, 1, kept, scratch, false, (l, q, s, a) -> {});
    printProfile("decode");
    profiling = false;
  }

  /** Repeats one step with nothing between. */
  private void decodeOnDevice(Scratch scratch, List<KvLayer> kept, int steps) {
    CudaStream stream = backend.runtime().stream();
    forward(1, 1, kept, scratch, false, (l, q, s, a) -> {});
    stream.synchronize();
    long start = System.nanoTime();
    for (int i = 0; i < steps; i++) {
      forward(1, 1, kept, scratch, false, (l, q, s, a) -> {});
    }
    double launched = System.nanoTime() - start;
    stream.synchronize();
    double done = System.nanoTime() - start;
    print("decode_without_host_tok_per_s", steps / (done * 1e-9));
    print("decode_launching_share", launched / done);
  }

  /** Prefills a question behind a chunk. */
  private void question(Scratch scratch, List<KvLayer> uncut) {
    int tokens = 44;
    int[] ids = ids(tokens);
    for (int round = 0; round < 3; round++) {
      for (KvLayer layer : uncut) {
        for (int head = 0; head < KV_HEADS; head++) {
          layer.setTokens(head, chunkTokens - tokens);
        }
      }
      backend.runtime().stream().synchronize();
      profiling = round == 2;
      long start = System.nanoTime();
      forward(ids, chunkTokens - tokens, tokens, uncut, scratch, true, (l, q, s, a) -> {});
      backend.runtime().stream().synchronize();
      if (round == 1) {
        print("question_s", (System.nanoTime() - start) * 1e-9);
      }
    }
    printProfile("question");
    profiling = false;
  }

  private static void print(String name, double value) {
    System.out.printf("%s\t%.5g%n", name, value);
  }

  @Override
  public void close() {
    backend.close();
  }

  /** Runs all measurements. */
  public static void main(String[] arguments) {
    int chunks = arguments.length == 0 ? 16 : Integer.parseInt(arguments[0]);
    int chunkTokens = arguments.length < 2 ? 8192 : Integer.parseInt(arguments[1]);
    try (DeviceBenchmark benchmark = new DeviceBenchmark(chunkTokens)) {
      benchmark.oneChunk();
      benchmark.chunks(chunks);
    }
  }
}
