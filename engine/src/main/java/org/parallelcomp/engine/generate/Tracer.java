package org.parallelcomp.engine.generate;

import java.util.ArrayList;
import java.util.BitSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.parallelcomp.api.backend.Backend;
import org.parallelcomp.api.backend.MemoryScope;
import org.parallelcomp.api.cache.KvLayer;
import org.parallelcomp.api.cache.TokenSelection;
import org.parallelcomp.api.evidence.HeadReduction;
import org.parallelcomp.api.policy.Chunk;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Shape;
import org.parallelcomp.api.tensor.Tensor;
import org.parallelcomp.engine.PassTrace;
import org.parallelcomp.engine.PassTrace.LayerTrace;
import org.parallelcomp.engine.Trace;
import org.parallelcomp.engine.model.LayerCaches.Attended;
import org.parallelcomp.engine.text.Encoded;

/**
 * Collects the {@link Trace} of a request. Everything that it observes passes anyway: it asks for
 * no further row, and what is computed for the answer is the same with it and without.
 */
final class Tracer {
  /** Collects nothing. */
  static final Tracer OFF = new Tracer(false);

  private record Scores(double score, double selfInformation) {}

  private final boolean on;
  private final Map<Integer, Scores> scores = new HashMap<>();
  private List<PassTrace> chunkPasses = List.of();
  private int[] textTokens = {};
  private List<List<BitSet>> held = List.of();
  private @Nullable PassTrace answerPass;

  private Tracer(boolean on) {
    this.on = on;
  }

  /** Returns a tracer that collects. */
  static Tracer on() {
    return new Tracer(true);
  }

  boolean isOn() {
    return on;
  }

  void scored(int chunk, double score, double selfInformation) {
    if (on) {
      scores.put(chunk, new Scores(score, selfInformation));
    }
  }

  /** Says that the kept chunks' tokens are the context, side by side, as their own passes left. */
  void sideBySide(List<PassTrace> passes) {
    if (!on) {
      return;
    }
    chunkPasses = List.copyOf(passes);
    textTokens = passes.stream().flatMapToInt(pass -> IntStream.of(pass.textTokens())).toArray();
    var perLayer = new ArrayList<List<BitSet>>();
    for (int layer = 0; layer < passes.getFirst().layers().size(); layer++) {
      var perHead = new ArrayList<BitSet>();
      for (int head = 0; head < passes.getFirst().layers().get(layer).kept().size(); head++) {
        var joined = new BitSet();
        int at = 0;
        for (PassTrace pass : passes) {
          int from = at;
          pass.layers().get(layer).kept().get(head).stream().forEach(t -> joined.set(from + t));
          at += pass.contextTokens();
        }
        perHead.add(joined);
      }
      perLayer.add(perHead);
    }
    held = perLayer;
  }

  /** Says that these tokens of the text are the context, all of them. */
  void whole(IntStream tokensOfText) {
    if (on) {
      textTokens = tokensOfText.toArray();
      held = List.of();
    }
  }

  /**
   * Says that prefix and whole text are the context, of which each layer and head holds some.
   *
   * @param heldPerLayer counted from the beginning of the prefix
   */
  void rolled(int prefixTokens, int tokensOfText, List<List<BitSet>> heldPerLayer) {
    textTokens =
        IntStream.range(0, prefixTokens + tokensOfText)
            .map(i -> Math.max(-1, i - prefixTokens))
            .toArray();
    held = heldPerLayer;
  }

  /** Returns the tokens of the context that a head of a layer holds when the question passes. */
  private BitSet held(int layer, int head) {
    return held.isEmpty() ? all(textTokens.length) : held.get(layer).get(head);
  }

  void answerPass(int prefixTokens, int queryTokens, List<LayerTrace> layers) {
    answerPass = new PassTrace(prefixTokens, textTokens, queryTokens, layers);
  }

  /**
   * Returns what a layer of the question's pass shows, which nothing more is cut from.
   *
   * @param attended null where attention is not a plain softmax
   */
  LayerTrace answerLayer(
      ContextRequest request,
      int layer,
      @Nullable Attended attended,
      int window,
      int prefixTokens,
      int heads) {
    List<BitSet> kept = IntStream.range(0, heads).mapToObj(head -> held(layer, head)).toList();
    return observe(
        request.backend(),
        request.scope(),
        attended,
        window,
        prefixTokens,
        textTokens.length,
        kept,
        kept,
        kept);
  }

  /** Returns what a layer shows whose context was whole until it was cut. */
  static LayerTrace cutLayer(
      Backend backend,
      MemoryScope scope,
      @Nullable Attended attended,
      int window,
      int prefixTokens,
      TokenSelection keptByBudget,
      TokenSelection kept) {
    int tokens = kept.tokens();
    List<BitSet> whole = IntStream.range(0, kept.kvHeads()).mapToObj(head -> all(tokens)).toList();
    return observe(
        backend,
        scope,
        attended,
        window,
        prefixTokens,
        tokens,
        whole,
        perHead(backend, keptByBudget),
        perHead(backend, kept));
  }

  /**
   * Returns how many of the question's last tokens are observed: as many as the scores look at, or
   * 8 where they look at none or at tokens of the context.
   */
  static int window(TokenEviction eviction, int queryTokens) {
    int scored = eviction.scoreWindow(queryTokens);
    int wanted = scored > 0 && scored <= queryTokens ? scored : AnswerCaches.LAST_QUERIES;
    return Math.min(queryTokens, wanted);
  }

  private static LayerTrace observe(
      Backend backend,
      MemoryScope scope,
      @Nullable Attended attended,
      int window,
      int prefixTokens,
      int contextTokens,
      List<BitSet> held,
      List<BitSet> keptByBudget,
      List<BitSet> kept) {
    if (attended == null || window == 0) {
      return new LayerTrace(0, new float[0][], keptByBudget, kept);
    }
    // Behind the last layer fewer rows may pass.
    int rows = Math.min(window, attended.sequence().rows());
    KvLayer layer = attended.sequence().layer();
    int keys = layer.maxTokens();
    float[] mass;
    try (MemoryScope step = scope.child("trace")) {
      Tensor perKey = step.allocate(DType.F32, Shape.of(layer.kvHeads(), keys));
      backend
          .attention()
          .attentionMass(
              perKey,
              attended.queries(),
              attended.logSumExp(),
              attended.scale(),
              attended.sequence(),
              rows,
              0,
              keys,
              HeadReduction.MEAN);
      mass = backend.host().copyToHostFloats(perKey);
    }
    var attention = new float[layer.kvHeads()][];
    for (int head = 0; head < attention.length; head++) {
      int behind = layer.tokens(head) - prefixTokens - held.get(head).cardinality();
      attention[head] = new float[prefixTokens + contextTokens + behind];
      int key = head * keys;
      for (int i = 0; i < prefixTokens; i++) {
        attention[head][i] = mass[key++] / rows;
      }
      for (int t = held.get(head).nextSetBit(0); t >= 0; t = held.get(head).nextSetBit(t + 1)) {
        attention[head][prefixTokens + t] = mass[key++] / rows;
      }
      for (int i = 0; i < behind; i++) {
        attention[head][prefixTokens + contextTokens + i] = mass[key++] / rows;
      }
    }
    return new LayerTrace(rows, attention, keptByBudget, kept);
  }

  private static BitSet all(int tokens) {
    var all = new BitSet(tokens);
    all.set(0, tokens);
    return all;
  }

  /** Returns the tokens that each head keeps. */
  static List<BitSet> perHead(Backend backend, TokenSelection selection) {
    if (selection.indices().isEmpty()) {
      return IntStream.range(0, selection.kvHeads())
          .mapToObj(head -> all(selection.tokens()))
          .toList();
    }
    int[] indices = backend.host().copyToHostInts(selection.indices().get());
    var perHead = new ArrayList<BitSet>();
    int at = 0;
    for (int count : selection.keptTokens()) {
      var kept = new BitSet(selection.tokens());
      for (int end = at + count; at < end; at++) {
        kept.set(indices[at]);
      }
      perHead.add(kept);
    }
    return perHead;
  }

  /** Returns what was collected, or null if nothing was to be. */
  @Nullable Trace trace(List<Chunk> chunks, Encoded text) {
    if (!on) {
      return null;
    }
    BitSet keptText = keptText();
    var traced = new ArrayList<Trace.ChunkTrace>();
    for (Chunk chunk : chunks) {
      Scores scored = scores.getOrDefault(chunk.index(), new Scores(Double.NaN, Double.NaN));
      int next = keptText.nextSetBit(chunk.fromToken());
      traced.add(
          new Trace.ChunkTrace(
              chunk.index(),
              chunk.fromToken(),
              chunk.toToken(),
              scored.score,
              scored.selfInformation,
              next >= 0 && next < chunk.toToken()));
    }
    return new Trace(traced, text.fromChar(), text.toChar(), chunkPasses, answerPass);
  }

  /** Returns the tokens of the text that some head of some layer kept. */
  private BitSet keptText() {
    var keptText = new BitSet();
    if (answerPass != null) {
      var kept = new BitSet();
      answerPass.layers().forEach(layer -> layer.kept().forEach(kept::or));
      kept.stream().map(t -> textTokens[t]).filter(t -> t >= 0).forEach(keptText::set);
    }
    return keptText;
  }
}
