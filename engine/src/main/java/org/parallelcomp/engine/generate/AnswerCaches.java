package org.parallelcomp.engine.generate;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.parallelcomp.api.backend.AttendSequence;
import org.parallelcomp.api.backend.Backend;
import org.parallelcomp.api.backend.MemoryScope;
import org.parallelcomp.api.backend.TensorOps;
import org.parallelcomp.api.cache.KvLayer;
import org.parallelcomp.api.cache.TokenSelection;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.evidence.Evidence;
import org.parallelcomp.api.policy.EvictionSchedule;
import org.parallelcomp.api.policy.EvictionSchedule.WhileDecoding;
import org.parallelcomp.api.policy.PolicyKind;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Shape;
import org.parallelcomp.api.tensor.Tensor;
import org.parallelcomp.engine.PassTrace.LayerTrace;
import org.parallelcomp.engine.model.ContextWeighting;
import org.parallelcomp.engine.model.SequenceInput;

/**
 * The caches that question and answer attend to: how their attention is weighed, and when they are
 * cut, as the plan's schedule says. First the pending tokens pass, then the answer's, one by one.
 */
final class AnswerCaches implements DecodingCaches {
  private final ContextRequest request;
  private final Backend backend;
  private final Context context;
  private final EvictionSchedule schedule;
  private final TokenEviction merged;
  private final @Nullable WhileDecoding decoding;
  private final List<OwnedLayer> layers;
  private final int[][] keptPerChunk;
  private final int window;
  private final @Nullable LayerTrace[] traced;
  private boolean cutsNow;
  private boolean tracesNow;
  private boolean decodes;
  private int nextPosition;
  private int answerTokens;
  private int sinceLook;
  private int cuts;
  private @Nullable MemoryScope windowScope;
  private final List<List<Tensor>> windowQueries = new ArrayList<>();

  AnswerCaches(ContextRequest request, Context context) {
    this.request = request;
    this.backend = request.backend();
    this.context = context;
    this.schedule = request.policies().schedule();
    this.merged = TokenEviction.merged(request.policies(), request.decoder().cacheFormat());
    this.decoding = schedule.decoding().orElse(null);
    this.layers = new ArrayList<>(context.layers());
    this.keptPerChunk = new int[layers.size()][];
    this.traced = new LayerTrace[layers.size()];
    this.nextPosition = context.nextPosition();
    this.window =
        decoding == null
            ? 0
            : Math.max(1, Math.min(decoding.everyTokens(), merged.scoreWindow(LAST_QUERIES)));
    layers.forEach(layer -> windowQueries.add(new ArrayList<>()));
    requireRoomToDecode();
    if (cutsMerged() && !context.readsContextNow()) {
      merged.requireNoContextQueries("once chunks are merged");
    }
    if (decoding != null) {
      merged.requireNoContextQueries("while decoding");
    }
  }

  /** So many of the newest queries look back where a policy asks for all behind the context. */
  static final int LAST_QUERIES = 8;

  private boolean cutsMerged() {
    return schedule.prefill() == EvictionSchedule.Prefill.MERGED && context.contextTokens() > 0;
  }

  private int queryTokens() {
    return request.prompt().query().length;
  }

  private void requireRoomToDecode() {
    if (decoding == null) {
      return;
    }
    int least = context.prefixTokens() + window + 1;
    if (decodingTokens() < least) {
      throw new InferenceException(
          ErrorCode.INVALID_ARGUMENT,
          "While decoding, each kv head keeps the prompt's prefix and the newest tokens, and needs "
              + least
              + " tokens at the least ("
              + least * tokenBytes() * layers.size() * request.config().kvHeads()
              + " bytes in all); the schedule allows "
              + decodingTokens()
              + ".");
    }
  }

  private long tokenBytes() {
    return request.decoder().cacheFormat().headTokenBytes();
  }

  /** How many tokens a kv head may hold on average when the cache is cut while decoding. */
  private long decodingTokens() {
    WhileDecoding limit = Objects.requireNonNull(decoding);
    long heads = (long) layers.size() * request.config().kvHeads();
    return Math.min(limit.maxTokens(), limit.maxBytes() / (heads * tokenBytes()));
  }

  // ---- the pending tokens ----

  /** Returns how many tokens are pending, those of the question included. */
  int pendingTokens() {
    return context.pendingIds().length;
  }

  /**
   * Runs the pending tokens.
   *
   * @return the hidden state of the last of them, {@code [1, hiddenDim]}
   */
  Tensor runPending(BlockPrefill.Listener listener) {
    int[] pending = context.pendingIds();
    int outputRows = 1;
    if (cutsMerged()) {
      outputRows = Math.max(1, merged.windowTokens(queryTokens(), context.contextTokens()));
    }
    outputRows = Math.min(pending.length, outputRows);
    if (cutsMerged()) {
      request.requireMemory(
          0, pending.length, outputRows, merged.evidenceBytes(context.contextTokens()));
    }
    Tensor hidden =
        BlockPrefill.forward(
            request.decoder(),
            new SequenceInput(pending, nextPosition, outputRows, this),
            request.cancellation(),
            new BlockPrefill.Listener() {
              @Override
              public void beforeLastBlock() {
                cutsNow = cutsMerged();
                tracesNow = request.tracer().isOn();
                listener.beforeLastBlock();
              }

              @Override
              public void afterBlock(int tokensDone) {
                listener.afterBlock(tokensDone);
              }
            });
    cutsNow = false;
    if (tracesNow) {
      request.tracer().answerPass(context.prefixTokens(), queryTokens(), List.of(traced));
      tracesNow = false;
    }
    nextPosition += pending.length;
    if (cutsMerged() && schedule.rerotate()) {
      nextPosition = longest();
    }
    decodes = decoding != null;
    return hidden.slice(0, outputRows - 1, outputRows);
  }

  /**
   * Runs what is still pending of the context itself, cuts it if the schedule says so, and forgets
   * the question by which it was cut, so that others can be asked.
   *
   * @return the caches of prefix and context alone
   */
  HeldCaches runContext(BlockPrefill.Listener listener) {
    int query = queryTokens();
    int pending = context.pendingIds().length;
    if (cutsMerged()) {
      if (pending == 0) {
        throw new InferenceException(
            ErrorCode.INVALID_ARGUMENT,
            "The schedule '"
                + request.policies().plan().policy(PolicyKind.SCHEDULE)
                + "' cuts the kept chunks while a question passes; give one to read the text by.");
      }
      runPending(listener);
      forget(query);
      nextPosition = schedule.rerotate() ? longest() : nextPosition - query;
    } else if (pending > query) {
      BlockPrefill.forward(
          request.decoder(),
          new SequenceInput(
              Arrays.copyOf(context.pendingIds(), pending - query), nextPosition, 1, this),
          request.cancellation(),
          listener);
      nextPosition += pending - query;
    }
    return new HeldCaches(backend, request.scope(), layers, context.weightings(), nextPosition);
  }

  /** Forgets so many of the newest tokens of every head. */
  private void forget(int newest) {
    for (OwnedLayer owned : layers) {
      for (int head = 0; head < owned.layer().kvHeads(); head++) {
        owned.layer().setTokens(head, owned.layer().tokens(head) - newest);
      }
    }
  }

  private int longest() {
    return layers.stream().mapToInt(owned -> owned.layer().maxTokens()).max().orElse(0);
  }

  @Override
  public KvLayer open(int layer) {
    return layers.get(layer).layer();
  }

  @Override
  public @Nullable ContextWeighting weighting(int layer) {
    return context.weightings().isEmpty() ? null : context.weightings().get(layer);
  }

  @Override
  public int logSumExpRows(int layer) {
    boolean looksAtIt =
        tracesNow && weighting(layer) == null
            || cutsNow
                && merged
                    .requires(layer, context.contextTokens())
                    .contains(Evidence.ATTENTION_MASS);
    return looksAtIt ? ALL_ROWS : 0;
  }

  @Override
  public void close(int layer, Attended attended) {
    if (cutsNow) {
      cutMerged(layer, attended);
    } else if (tracesNow) {
      traced[layer] =
          request
              .tracer()
              .answerLayer(
                  request,
                  layer,
                  observable(layer, attended),
                  window(),
                  context.prefixTokens(),
                  request.config().kvHeads());
    } else if (decodes && sinceLook >= Objects.requireNonNull(decoding).everyTokens() - window) {
      remember(layer, attended);
    }
  }

  /** Returns what was attended to, or null where there is no log-sum-exp to observe it by. */
  private @Nullable Attended observable(int layer, Attended attended) {
    return weighting(layer) == null ? attended : null;
  }

  private int window() {
    return Tracer.window(merged, queryTokens());
  }

  // ---- once, over the merged context ----

  private void cutMerged(int layer, Attended attended) {
    OwnedLayer uncut = layers.get(layer);
    int prefix = context.prefixTokens();
    int tokens = context.contextTokens();
    try (MemoryScope step = request.scope().child("policy")) {
      Set<Evidence> declared = merged.requires(layer, tokens);
      var evidence =
          new ObservedLayer(
              backend,
              step,
              request.decoder(),
              layer,
              0,
              attended,
              prefix,
              tokens,
              merged.keptTokens(layer, tokens),
              queryTokens(),
              nextPosition + context.pendingIds().length - queryTokens(),
              declared);
      TensorOps ops = backend.tensorOps(step);
      TokenSelection keptByBudget = merged.withinBudget(evidence, ops);
      TokenSelection selection = merged.calibrate(evidence, keptByBudget, ops);
      if (tracesNow) {
        traced[layer] =
            Tracer.cutLayer(
                backend,
                step,
                observable(layer, attended),
                window(),
                prefix,
                keptByBudget,
                selection);
      }
      keptPerChunk[layer] = perChunk(selection);
      if (!selection.keepsEverything()) {
        layers.set(
            layer,
            uncut.keep(backend, request.scope(), prefix, List.of(selection), request.answerRoom()));
      }
    }
    if (schedule.rerotate()) {
      rerotate(layers.get(layer).layer());
    }
  }

  /** Counts the kept tokens of each chunk over all heads; the positions are part of the result. */
  private int[] perChunk(TokenSelection selection) {
    List<Integer> ends = context.chunkEnds();
    int[] counts = new int[ends.size()];
    if (selection.indices().isEmpty()) {
      for (int chunk = 0; chunk < counts.length; chunk++) {
        int from = chunk == 0 ? 0 : ends.get(chunk - 1);
        counts[chunk] = (ends.get(chunk) - from) * selection.kvHeads();
      }
      return counts;
    }
    for (int token : backend.host().copyToHostInts(selection.indices().get())) {
      int chunk = 0;
      while (token >= ends.get(chunk)) {
        chunk++;
      }
      counts[chunk]++;
    }
    return counts;
  }

  private void rerotate(KvLayer layer) {
    int last = layer.maxTokens() + request.answerTokens();
    if (last > request.decoder().rope().positions()) {
      throw new InferenceException(
          ErrorCode.INVALID_ARGUMENT,
          "At consecutive positions the kept tokens and the answer take "
              + last
              + " positions, but the model's window has "
              + request.decoder().rope().positions()
              + "; keep fewer tokens, or leave them where they are (rerotate=false).");
    }
    backend.cache().rerotate(layer, 0, request.decoder().rope());
  }

  // ---- while decoding ----

  @Override
  public int nextPosition() {
    return nextPosition;
  }

  /** Returns the caches as they are now. */
  List<KvLayer> layers() {
    return layers.stream().map(OwnedLayer::layer).toList();
  }

  /** Here the caches are looked at, and cut. */
  @Override
  public void afterToken() {
    nextPosition++;
    answerTokens++;
    sinceLook++;
    if (decoding == null || sinceLook < decoding.everyTokens()) {
      return;
    }
    sinceLook = 0;
    long limit = decodingTokens();
    long tokens = 0;
    for (OwnedLayer owned : layers) {
      tokens += owned.layer().headTokens();
    }
    long heads = (long) layers.size() * request.config().kvHeads();
    boolean tooMany =
        tokens > decoding.maxTokens() * heads || tokens * tokenBytes() > decoding.maxBytes();
    for (int layer = 0; layer < layers.size(); layer++) {
      if (tooMany && layers.get(layer).layer().headTokens() > limit * request.config().kvHeads()) {
        cutDecoding(layer, Math.toIntExact(limit));
      }
    }
    if (tooMany) {
      cuts++;
      if (schedule.rerotate()) {
        layers().forEach(this::rerotate);
        nextPosition = longest();
      }
    }
    int room = request.answerRoom(answerTokens);
    for (int layer = 0; layer < layers.size(); layer++) {
      if (layers.get(layer).room() < room) {
        layers.set(layer, layers.get(layer).grow(backend, request.scope(), room));
      }
    }
    windowQueries.forEach(List::clear);
    if (windowScope != null) {
      windowScope.close();
      windowScope = null;
    }
  }

  /** Keeps a copy of the newest token's queries; its own are overwritten by the next layer's. */
  private void remember(int layer, Attended attended) {
    if (windowScope == null) {
      windowScope = request.scope().child("window");
    }
    int row = attended.sequence().firstRow();
    Tensor newest = attended.queries().slice(0, row, row + 1);
    windowQueries.get(layer).add(backend.tensorOps(windowScope).concat(List.of(newest), 0));
  }

  /** Cuts a layer to so many tokens per head on average. */
  private void cutDecoding(int layer, int limit) {
    OwnedLayer owned = layers.get(layer);
    int kvHeads = request.config().kvHeads();
    int group = request.config().queryHeads() / kvHeads;
    int prefix = context.prefixTokens();
    boolean together = owned.isUniform();
    List<KvLayer> groups = OwnedLayer.groups(owned.layer(), together ? 1 : kvHeads);
    int[] kept = shares(owned.layer(), (long) (limit - prefix - window) * kvHeads, prefix + window);
    var selections = new ArrayList<TokenSelection>();
    try (MemoryScope step = request.scope().child("policy")) {
      TensorOps ops = backend.tensorOps(step);
      Tensor queries = ops.concat(windowQueries.get(layer), 0);
      for (int g = 0; g < groups.size(); g++) {
        int heads = groups.get(g).kvHeads() * group;
        Tensor own = ops.concat(List.of(queries.slice(1, (long) g * heads, (g + 1L) * heads)), 0);
        var evidence = lastQueries(step, layer, g * heads, groups.get(g), own, kept[g]);
        selections.add(merged.selectExactly(evidence, kept[g], ops));
      }
      layers.set(
          layer,
          owned.keep(
              backend, request.scope(), prefix, selections, request.answerRoom(answerTokens)));
    }
  }

  private ObservedLayer lastQueries(
      MemoryScope step, int layer, int firstQueryHead, KvLayer heads, Tensor queries, int kept) {
    AttendSequence sequence = AttendSequence.causal(0, window, heads);
    Tensor logSumExp = step.allocate(DType.F32, Shape.of(queries.shape().dim(1), window));
    float scale = request.decoder().scale();
    Set<Evidence> declared = merged.scoreEvidence();
    if (declared.contains(Evidence.ATTENTION_MASS)) {
      Tensor attended = step.allocate(DType.F32, queries.shape());
      backend.attention().attend(attended, logSumExp, queries, scale, List.of(sequence));
    }
    return new ObservedLayer(
        backend,
        step,
        request.decoder(),
        layer,
        firstQueryHead,
        new Attended(queries, logSumExp, sequence, scale),
        context.prefixTokens(),
        heads.tokens(0) - context.prefixTokens() - window,
        kept,
        window,
        nextPosition - window,
        declared);
  }

  /**
   * Divides so many tokens over the heads in proportion to what they hold, exactly; where all hold
   * as many, each gets as many.
   *
   * @param always tokens of each head that are not counted
   */
  static int[] shares(KvLayer layer, long total, int always) {
    long[] held = new long[layer.kvHeads()];
    Arrays.setAll(held, head -> layer.tokens(head) - always);
    long sum = Arrays.stream(held).sum();
    int[] shares = new int[held.length];
    Arrays.setAll(shares, head -> (int) (total * held[head] / sum));
    long left = total - Arrays.stream(shares).sum();
    IntStream.range(0, held.length)
        .boxed()
        .sorted((a, b) -> Long.compare(total * held[b] % sum, total * held[a] % sum))
        .limit(left)
        .forEach(head -> shares[head]++);
    return shares;
  }

  // ---- what came of it ----

  @Override
  public long bytes() {
    return layers.stream().mapToLong(owned -> owned.layer().keptBytes()).sum();
  }

  @Override
  public int cuts() {
    return cuts;
  }

  /** Returns the tokens of each kv head in each layer now, less so many newest ones. */
  List<List<Integer>> tokensPerHead(int newest) {
    return layers.stream()
        .map(
            owned ->
                Arrays.stream(owned.layer().tokens()).mapToObj(tokens -> tokens - newest).toList())
        .toList();
  }

  /** Returns the kept chunks, with what a cut of the merged context left of them. */
  List<Context.KeptChunk> keptChunks() {
    var chunks = new ArrayList<Context.KeptChunk>();
    for (int i = 0; i < context.keptChunks().size(); i++) {
      Context.KeptChunk chunk = context.keptChunks().get(i);
      var perLayer = new ArrayList<Double>();
      for (int layer = 0; layer < layers.size(); layer++) {
        perLayer.add(
            keptPerChunk[layer] == null
                ? chunk.keptTokensPerLayer().get(layer)
                : (double) keptPerChunk[layer][i] / request.config().kvHeads());
      }
      chunks.add(new Context.KeptChunk(chunk.chunk(), chunk.selfInformation(), perLayer));
    }
    return chunks;
  }
}
