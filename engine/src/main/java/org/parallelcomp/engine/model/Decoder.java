package org.parallelcomp.engine.model;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.parallelcomp.api.backend.AttendSequence;
import org.parallelcomp.api.backend.AttentionOps;
import org.parallelcomp.api.backend.Backend;
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

  /** Returns how many tokens of a sequence pass at once. */
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
    Tensor tokenIds = scratch.takeIntegers("tokenIds", tokens);
    Tensor positions = scratch.takeIntegers("positions", tokens);
    uploadInputs(sequences, tokenIds, positions);

    Tensor hidden = scratch.take("hidden", tokens, config.hiddenDim());
    Tensor queries = scratch.take("queries", tokens, config.queryHeads(), config.headDim());
    Tensor keys = scratch.take("keys", tokens, config.kvHeads(), config.headDim());
    Tensor values = scratch.take("values", tokens, config.kvHeads(), config.headDim());

    backend.decoder().embed(hidden, weights.embedding(), tokenIds);
    List<Span> allRows = Span.all(sequences);
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
      for (Span span : allRows) {
        KvLayer kvLayer = span.sequence.caches().open(layer);
        backend.cache().append(kvLayer, span.rows(keys), span.rows(values), span.rows(positions));
        kvLayers.add(kvLayer);
      }
      if (layer < config.layers() - 1) {
        attendAndFeedForward(layer, allRows, kvLayers, queries, hidden);
      } else {
        // Behind the last layer only the output rows are looked at. They need not lie together, so
        // they pass sequence by sequence.
        for (int s = 0; s < allRows.size(); s++) {
          Span wanted = allRows.get(s).outputRows();
          attendAndFeedForward(
              layer,
              List.of(wanted.from(0)),
              List.of(kvLayers.get(s)),
              wanted.rows(queries),
              wanted.rows(hidden));
        }
      }
    }
    return allRows.stream().map(span -> span.outputRows().rows(hidden)).toList();
  }

  /**
   * Attention over the rows of some sequences and everything behind it, for rows that lie together.
   */
  private void attendAndFeedForward(
      int layer, List<Span> spans, List<KvLayer> kvLayers, Tensor queries, Tensor hidden) {
    long rows = hidden.shape().dim(0);
    Tensor attended = scratch.take("attended", rows, config.queryHeads(), config.headDim());
    Tensor logSumExp = scratch.take("logSumExp", config.queryHeads(), rows);
    var attendSequences = new ArrayList<AttendSequence>();
    int logSumExpRows = 0;
    for (int s = 0; s < spans.size(); s++) {
      Span span = spans.get(s);
      attendSequences.add(AttendSequence.causal(span.firstRow, span.rows, kvLayers.get(s)));
      logSumExpRows = Math.max(logSumExpRows, span.sequence.caches().logSumExpRows(layer));
    }
    if (rows > 0) {
      if (spans.stream().anyMatch(span -> span.sequence.caches().weighting(layer) != null)) {
        attendOneByOne(layer, spans, kvLayers, queries, attended, logSumExp);
      } else {
        attend(attended, logSumExp, logSumExpRows, queries, attendSequences);
      }
    }
    for (int s = 0; s < spans.size(); s++) {
      var observed = new LayerCaches.Attended(queries, logSumExp, attendSequences.get(s), scale);
      spans.get(s).sequence.caches().close(layer, observed);
    }
    if (rows > 0) {
      backend
          .decoder()
          .attentionOutputAndFeedForward(
              hidden,
              attended,
              weights.attention().get(layer),
              weights.feedForward().get(layer),
              scratch);
    }
  }

  /**
   * Attends.
   *
   * @param logSumExpRows of how many of a sequence's last rows the log-sum-exp is needed
   */
  private void attend(
      Tensor attended,
      Tensor logSumExp,
      int logSumExpRows,
      Tensor queries,
      List<AttendSequence> sequences) {
    AttentionOps attention = backend.attention();
    AttendSequence first = sequences.getFirst();
    int without = first.rows() - logSumExpRows;
    if (logSumExpRows == 0) {
      attention.attend(attended, null, queries, scale, sequences);
    } else if (sequences.size() > 1 || without <= 0 || !attention.logSumExpCosts()) {
      attention.attend(attended, logSumExp, queries, scale, sequences);
    } else {
      KvLayer keyValues = first.layer();
      int[] toToken = Arrays.stream(keyValues.tokens()).map(to -> to - logSumExpRows).toArray();
      int[] fromToken = new int[toToken.length];
      attention.attend(
          attended.slice(0, 0, without),
          null,
          queries.slice(0, 0, without),
          scale,
          List.of(new AttendSequence(0, without, keyValues, fromToken, toToken, true)));
      attention.attend(
          attended.slice(0, without, first.rows()),
          logSumExp.slice(1, without, first.rows()),
          queries.slice(0, without, first.rows()),
          scale,
          List.of(AttendSequence.causal(0, logSumExpRows, keyValues)));
    }
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

    Span from(int row) {
      return new Span(sequence, row, rows);
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
    backend.decoder().tokenLogLikelihood(out, logits(hidden), wanted);
    return backend.host().copyToHostFloats(out);
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
