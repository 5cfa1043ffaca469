package org.parallelcomp.engine.model;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.parallelcomp.api.backend.AttendSequence;
import org.parallelcomp.api.backend.AttentionBlock;
import org.parallelcomp.api.backend.Backend;
import org.parallelcomp.api.backend.FeedForwardBlock;
import org.parallelcomp.api.backend.MemoryScope;
import org.parallelcomp.api.backend.Rope;
import org.parallelcomp.api.backend.Scratch;
import org.parallelcomp.api.cache.KvLayer;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Shape;
import org.parallelcomp.api.tensor.Tensor;
import org.parallelcomp.engine.load.ModelConfig;

/**
 * The one decoder that serves every architecture: what a model has of biases, norms and rotations
 * is data. A decoder belongs to one request at a time, since its buffers are used again.
 */
public final class Decoder implements AutoCloseable {
  /**
   * Rows whose logits are held at once: each takes as many numbers as the vocabulary has tokens.
   */
  private static final int LOGITS_ROWS = 256;

  private final Backend backend;
  private final ModelConfig config;
  private final CacheFormat cacheFormat;
  private final DecoderWeights weights;
  private final MemoryScope scope;
  private final Scratch scratch;
  private final Rope rope;
  private final float scale;
  private final Map<Integer, Tensor> outputProjections = new HashMap<>();
  private @Nullable Rope inverseRope;
  private long tokensRun;

  /** Owns the output rows of the last pass where they had to be gathered. */
  private @Nullable MemoryScope gathered;

  /**
   * Creates a decoder.
   *
   * @param parent owner of the decoder's buffers
   * @param rope rotations, for every position that will be used
   */
  public Decoder(
      Backend backend, ModelConfig config, DecoderWeights weights, MemoryScope parent, Rope rope) {
    this.backend = backend;
    this.config = config;
    this.cacheFormat = new CacheFormat(backend.traits().cacheType(), config);
    this.weights = weights;
    this.scope = parent.child("decoder");
    this.scratch = new Scratch(scope);
    this.rope = rope;
    this.scale = (float) (config.rope().attentionFactor() / Math.sqrt(config.headDim()));
  }

  /** Returns the rotary table. */
  public Rope rope() {
    return rope;
  }

  /** Returns the rotary table that rotates back: the same cosines, negative sines. */
  public Rope inverseRope() {
    if (inverseRope == null) {
      Tensor sines = backend.tensorOps(scope).affine(rope.sines(), -1, 0);
      inverseRope = new Rope(rope.style(), rope.cosines(), sines);
    }
    return inverseRope;
  }

  /**
   * Returns the attention's output projection of a layer as F32 {@code [queryHeads, headDim,
   * hiddenDim]}, whatever the type of the weights. Computed once per decoder, from the identity:
   * row i of {@code 1 · outputᵀ} is what number i of the attended values adds.
   */
  public Tensor outputProjection(int layer) {
    return outputProjections.computeIfAbsent(
        layer,
        l -> {
          int inputDim = config.queryHeads() * config.headDim();
          Tensor projection = scope.allocate(DType.F32, Shape.of(inputDim, config.hiddenDim()));
          try (MemoryScope step = scope.child("identity")) {
            float[] ones = new float[inputDim * inputDim];
            for (int i = 0; i < inputDim; i++) {
              ones[i * inputDim + i] = 1;
            }
            Tensor identity = backend.tensorOps(step).constant(Shape.of(inputDim, inputDim), ones);
            backend
                .decoder()
                .linear(projection, weights.attention().get(l).output(), null, identity);
          }
          return projection.reshape(
              Shape.of(config.queryHeads(), config.headDim(), config.hiddenDim()));
        });
  }

  /** Returns the numbers that drive the decoder. */
  public ModelConfig config() {
    return config;
  }

  /** Returns what keys and values take. */
  public CacheFormat cacheFormat() {
    return cacheFormat;
  }

  /** Returns how many tokens pass at once: of one sequence, or of several together. */
  public int blockTokens() {
    return backend.traits().blockTokens();
  }

  /** Returns the factor of the products of queries and keys. */
  public float scale() {
    return scale;
  }

  /** Returns how many tokens have passed through so far, repetitions counted. */
  public long tokensRun() {
    return tokensRun;
  }

  /** Allocates the empty cache of one layer, each head with the given capacity. */
  public KvLayer allocateLayer(MemoryScope owner, int capacity) {
    int[] capacities = new int[config.kvHeads()];
    Arrays.fill(capacities, capacity);
    return backend.cache().allocate(owner, cacheFormat.dtype(), capacities, config.headDim());
  }

  /** Allocates empty caches for every layer, each head with the given capacity. */
  public List<KvLayer> allocateLayers(MemoryScope owner, int capacity) {
    var layers = new ArrayList<KvLayer>();
    for (int layer = 0; layer < config.layers(); layer++) {
      layers.add(allocateLayer(owner, capacity));
    }
    return List.copyOf(layers);
  }

  /**
   * Runs tokens through all layers.
   *
   * @param sequences independent of one another
   * @return per sequence the hidden states of its last {@link SequenceInput#outputRows} tokens
   *     after the last layer, before the last norm, {@code [outputRows, hiddenDim]}; valid until
   *     the next pass
   */
  public List<Tensor> forward(List<SequenceInput> sequences) {
    int tokens = sequences.stream().mapToInt(sequence -> sequence.tokenIds().length).sum();
    tokensRun += tokens;
    forgetGathered();
    Tensor tokenIds = scratch.takeIntegers("tokenIds", tokens);
    Tensor positions = scratch.takeIntegers("positions", tokens);
    uploadInputs(sequences, tokenIds, positions);

    Tensor hidden = scratch.take("hidden", tokens, config.hiddenDim());
    Tensor queries = scratch.take("queries", tokens, config.queryHeads(), config.headDim());
    Tensor keys = scratch.take("keys", tokens, config.kvHeads(), config.headDim());
    Tensor values = scratch.take("values", tokens, config.kvHeads(), config.headDim());

    backend.decoder().embed(hidden, weights.embedding(), tokenIds);
    List<Span> spans = Span.all(sequences);
    for (int layer = 0; layer < config.layers(); layer++) {
      backend
          .decoder()
          .attentionInput(
              queries,
              keys,
              values,
              weights.attention().get(layer),
              hidden,
              positions,
              rope,
              scratch);
      var kvLayers = new ArrayList<KvLayer>();
      for (Span span : spans) {
        KvLayer kvLayer = span.sequence.caches().open(layer);
        backend.cache().append(kvLayer, span.rows(keys), span.rows(values), span.rows(positions));
        kvLayers.add(kvLayer);
      }
      if (layer == config.layers() - 1) {
        // Behind the last layer only the output rows are looked at.
        List<Span> wanted = spans.stream().map(Span::outputRows).toList();
        queries = together(wanted, queries);
        hidden = together(wanted, hidden);
        spans = Span.oneBehindTheOther(wanted);
      }
      attendAndFeedForward(layer, spans, kvLayers, queries, hidden);
    }
    var outputs = new ArrayList<Tensor>();
    for (Span span : spans) {
      outputs.add(span.rows(hidden));
    }
    return outputs;
  }

  /** Returns rows of a tensor one behind the other: as they lie, or gathered. */
  private Tensor together(List<Span> spans, Tensor tensor) {
    List<Span> some = spans.stream().filter(span -> span.rows > 0).toList();
    if (some.isEmpty()) {
      return tensor.slice(0, 0, 0);
    }
    int first = some.getFirst().firstRow;
    int end = some.getLast().firstRow + some.getLast().rows;
    if (end - first == some.stream().mapToInt(Span::rows).sum()) {
      return tensor.slice(0, first, end);
    }
    if (gathered == null) {
      gathered = scope.child("gathered");
    }
    return backend
        .tensorOps(gathered)
        .concat(some.stream().map(span -> span.rows(tensor)).toList(), 0);
  }

  private void forgetGathered() {
    if (gathered != null) {
      gathered.close();
      gathered = null;
    }
  }

  /** Attention of a layer over the rows of some sequences, and everything behind it. */
  private void attendAndFeedForward(
      int layer, List<Span> spans, List<KvLayer> kvLayers, Tensor queries, Tensor hidden) {
    long rows = hidden.shape().dim(0);
    AttentionBlock attention = weights.attention().get(layer);
    FeedForwardBlock feedForward = weights.feedForward().get(layer);
    Tensor logSumExp = scratch.take("logSumExp", config.queryHeads(), rows);
    var sequences = new ArrayList<AttendSequence>();
    int logSumExpRows = 0;
    for (int s = 0; s < spans.size(); s++) {
      Span span = spans.get(s);
      sequences.add(AttendSequence.causal(span.firstRow, span.rows, kvLayers.get(s)));
      logSumExpRows = Math.max(logSumExpRows, span.sequence.caches().logSumExpRows(layer));
    }
    boolean weighted =
        spans.stream().anyMatch(span -> span.sequence.caches().weighting(layer) != null);
    boolean lastApart = logSumExpRows > 0 && backend.attention().logSumExpCosts();
    if (rows > 0 && (weighted || lastApart)) {
      Tensor attended = scratch.take("attended", rows, config.queryHeads(), config.headDim());
      if (weighted) {
        attendOneByOne(layer, spans, kvLayers, queries, attended, logSumExp);
      } else {
        for (AttendSequence sequence : sequences) {
          attendLastApart(attended, logSumExp, logSumExpRows, queries, sequence);
        }
      }
      backend
          .decoder()
          .attentionOutputAndFeedForward(hidden, attended, attention, feedForward, scratch);
    } else if (rows > 0) {
      backend.attendAndFeedForward(
          hidden,
          logSumExpRows == 0 ? null : logSumExp,
          queries,
          scale,
          sequences,
          attention,
          feedForward,
          scratch);
    }
    for (int s = 0; s < spans.size(); s++) {
      var observed = new LayerCaches.Attended(queries, logSumExp, sequences.get(s), scale);
      spans.get(s).sequence.caches().close(layer, observed);
    }
  }

  /** Attends to one sequence: first without the log-sum-exp, then its last rows with it. */
  private void attendLastApart(
      Tensor attended,
      Tensor logSumExp,
      int logSumExpRows,
      Tensor queries,
      AttendSequence sequence) {
    int last = Math.min(logSumExpRows, sequence.rows());
    int others = sequence.rows() - last;
    int first = sequence.firstRow();
    int firstOfLast = first + others;
    int end = first + sequence.rows();
    KvLayer keyValues = sequence.layer();
    if (others > 0) {
      int[] toToken = Arrays.stream(keyValues.tokens()).map(to -> to - last).toArray();
      int[] fromToken = new int[toToken.length];
      backend
          .attention()
          .attend(
              attended.slice(0, first, firstOfLast),
              null,
              queries.slice(0, first, firstOfLast),
              scale,
              List.of(new AttendSequence(0, others, keyValues, fromToken, toToken, true)));
    }
    backend
        .attention()
        .attend(
            attended.slice(0, firstOfLast, end),
            logSumExp.slice(1, firstOfLast, end),
            queries.slice(0, firstOfLast, end),
            scale,
            List.of(AttendSequence.causal(0, last, keyValues)));
  }

  /** Where some sequence's attention is weighed, each passes alone. */
  private void attendOneByOne(
      int layer,
      List<Span> spans,
      List<KvLayer> kvLayers,
      Tensor queries,
      Tensor attended,
      Tensor logSumExp) {
    for (int s = 0; s < spans.size(); s++) {
      Span span = spans.get(s);
      AttendSequence sequence = AttendSequence.causal(0, span.rows, kvLayers.get(s));
      ContextWeighting weighting = span.sequence.caches().weighting(layer);
      if (weighting != null) {
        WeightedAttention.attend(
            backend, scope, span.rows(attended), span.rows(queries), scale, sequence, weighting);
      } else {
        backend
            .attention()
            .attend(
                span.rows(attended),
                logSumExp.slice(1, span.firstRow, span.firstRow + span.rows),
                span.rows(queries),
                scale,
                List.of(sequence));
      }
    }
  }

  /** Rows of a pass that belong to one sequence. */
  private record Span(SequenceInput sequence, int firstRow, int rows) {
    static List<Span> all(List<SequenceInput> sequences) {
      var spans = new ArrayList<Span>();
      int row = 0;
      for (SequenceInput sequence : sequences) {
        spans.add(new Span(sequence, row, sequence.tokenIds().length));
        row += sequence.tokenIds().length;
      }
      return spans;
    }

    Span outputRows() {
      int wanted = sequence.outputRows();
      return new Span(sequence, firstRow + rows - wanted, wanted);
    }

    /** The same spans when their rows have been put together. */
    static List<Span> oneBehindTheOther(List<Span> spans) {
      var together = new ArrayList<Span>();
      int row = 0;
      for (Span span : spans) {
        together.add(new Span(span.sequence, row, span.rows));
        row += span.rows;
      }
      return together;
    }

    Tensor rows(Tensor tensor) {
      return tensor.slice(0, firstRow, firstRow + rows);
    }
  }

  /**
   * Returns the logits of rows of hidden states, {@code [rows, vocab]}; valid until the next call.
   *
   * @param hidden rows as {@link #forward} returned them
   */
  public Tensor logits(Tensor hidden) {
    long rows = hidden.shape().dim(0);
    Tensor normed = scratch.take("outputNormed", rows, config.hiddenDim());
    Tensor logits = scratch.take("logits", rows, config.vocab());
    backend.decoder().rmsNorm(normed, hidden, weights.outputNorm(), config.rmsEpsilon());
    backend.decoder().linear(logits, weights.output(), null, normed);
    return logits;
  }

  /**
   * Returns the most likely next token, the earlier of equals; nothing but its number crosses to
   * the host.
   *
   * @param hidden one row as {@link #forward} returned it
   */
  public int mostLikely(Tensor hidden) {
    try (MemoryScope step = scope.child("mostLikely")) {
      return backend.host().copyToHostInts(backend.tensorOps(step).argMax(logits(hidden)))[0];
    }
  }

  /** Returns the bytes that {@link #logLikelihood} takes for the logits of so many rows. */
  public long logitsBytes(long rows) {
    return DType.F32.bytes(Math.min(rows, LOGITS_ROWS) * config.vocab());
  }

  /**
   * Returns the log-probability of each target token given the hidden state before it.
   *
   * @param hidden {@code [rows, hiddenDim]}
   * @param targets one token per row
   */
  public float[] logLikelihood(Tensor hidden, int[] targets) {
    Tensor out = scratch.take("logLikelihood", targets.length);
    Tensor wanted = scratch.takeIntegers("targets", targets.length);
    backend.host().copyFromHost(wanted, targets);
    for (int from = 0; from < targets.length; from += LOGITS_ROWS) {
      int to = Math.min(targets.length, from + LOGITS_ROWS);
      Tensor logits = logits(hidden.slice(0, from, to));
      backend
          .decoder()
          .tokenLogLikelihood(out.slice(0, from, to), logits, wanted.slice(0, from, to));
    }
    return backend.host().copyToHostFloats(out);
  }

  /**
   * Returns the log-probability of each target token behind each of several runs of rows, computed
   * together.
   *
   * @param hidden each {@code [rows, hiddenDim]}
   * @param targets one token per row, the same for all
   */
  public List<float[]> logLikelihoods(List<Tensor> hidden, int[] targets) {
    try (MemoryScope step = scope.child("logLikelihoods")) {
      Tensor rows =
          hidden.size() == 1 ? hidden.getFirst() : backend.tensorOps(step).concat(hidden, 0);
      int[] repeated = new int[hidden.size() * targets.length];
      Arrays.setAll(repeated, row -> targets[row % targets.length]);
      float[] all = logLikelihood(rows, repeated);
      return IntStream.range(0, hidden.size())
          .mapToObj(i -> Arrays.copyOfRange(all, i * targets.length, (i + 1) * targets.length))
          .toList();
    }
  }

  private void uploadInputs(List<SequenceInput> sequences, Tensor tokenIds, Tensor positions) {
    for (Span span : Span.all(sequences)) {
      int[] rowPositions = new int[span.rows];
      Arrays.setAll(rowPositions, i -> span.sequence.firstPosition() + i);
      backend.host().copyFromHost(span.rows(tokenIds), span.sequence.tokenIds());
      backend.host().copyFromHost(span.rows(positions), rowPositions);
    }
  }

  @Override
  public void close() {
    scratch.close();
    scope.close();
  }
}
