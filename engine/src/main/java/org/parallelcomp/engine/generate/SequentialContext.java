package org.parallelcomp.engine.generate;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;
import org.parallelcomp.api.backend.CacheOps;
import org.parallelcomp.api.backend.MemoryScope;
import org.parallelcomp.api.cache.KvLayer;
import org.parallelcomp.api.cache.TokenSelection;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.evidence.Evidence;
import org.parallelcomp.api.policy.Chunk;
import org.parallelcomp.api.policy.EvictionSchedule;
import org.parallelcomp.api.policy.PolicyKind;
import org.parallelcomp.engine.model.LayerCaches;
import org.parallelcomp.engine.model.SequenceInput;

/**
 * One chunk behind the other over one rolling cache, as StreamingLLM (arXiv 2309.17453) does: after
 * each chunk every layer is cut to the budget, prefix included, and the kept keys are rotated to
 * the places that they then hold, so that no position ever exceeds the cache.
 */
final class SequentialContext implements LayerCaches {
  private final ContextRequest request;
  private final TokenEviction eviction;
  private final List<OwnedLayer> rolling;

  /** Per layer and head the tokens that are held, counted from the prefix; only for a trace. */
  private final List<List<BitSet>> held = new ArrayList<>();

  private final int[] appended;

  private SequentialContext(ContextRequest request, int rollingCapacity) {
    this.request = request;
    this.eviction = TokenEviction.perChunk(request.policies(), request.decoder().cacheFormat(), 1);
    this.rolling = OwnedLayer.allocate(request, rollingCapacity);
    this.appended = new int[rolling.size()];
    for (int layer = 0; layer < rolling.size(); layer++) {
      held.add(Stream.generate(BitSet::new).limit(request.config().kvHeads()).toList());
    }
  }

  /** Returns the context for the question. */
  static Context build(ContextRequest request, List<Chunk> chunks) {
    var eviction = TokenEviction.perChunk(request.policies(), request.decoder().cacheFormat(), 1);
    if (request.policies().schedule().prefill() != EvictionSchedule.Prefill.PER_CHUNK) {
      throw new InferenceException(
          ErrorCode.INVALID_ARGUMENT,
          "A rolling cache is cut after each chunk; the schedule '"
              + request.policies().plan().policy(PolicyKind.SCHEDULE)
              + "' does not fit sequential prefill.");
    }
    eviction.requireNoContextQueries("for the tokens of a rolling cache");
    int[] prefixIds = request.prompt().prefix();
    int[] queryIds = request.prompt().query();
    int longest = chunks.stream().mapToInt(Chunk::tokens).max().orElse(0) + prefixIds.length;
    int window = request.config().trainedWindow();
    int kept = eviction.keptTokens(0, window);
    int behind = Math.max(longest, queryIds.length + request.answerTokens());
    if (kept + behind > window) {
      throw new InferenceException(
          ErrorCode.INVALID_ARGUMENT,
          "A rolling cache of "
              + kept
              + " tokens and "
              + behind
              + " tokens behind it do not fit the model's window of "
              + window
              + "; keep fewer tokens or make the chunks smaller.");
    }
    int windowTokens = eviction.windowTokens(0, kept + longest);
    request.requireMemory(
        2L * (kept + behind), longest, windowTokens, eviction.evidenceBytes(kept + longest));
    var context = new SequentialContext(request, kept + behind);
    long tokensDone = 0;
    for (Chunk chunk : chunks) {
      RequestCancelled.check(request.cancellation());
      request.progress().chunks(chunk.index(), chunks.size(), tokensDone);
      int[] chunkIds = request.idsOf(chunk);
      int[] ids = chunk.index() == 0 ? ChunkPrefill.concat(prefixIds, chunkIds) : chunkIds;
      int cached = context.rolling.getFirst().layer().maxTokens();
      int lastTokens = context.eviction.windowTokens(0, cached + ids.length);
      BlockPrefill.forward(
          request.decoder(),
          new SequenceInput(ids, cached, Math.min(ids.length, lastTokens), context),
          request.cancellation(),
          BlockPrefill.Listener.NONE);
      tokensDone += chunk.tokens();
    }
    request.progress().chunks(chunks.size(), chunks.size(), tokensDone);
    if (request.tracer().isOn()) {
      request.tracer().rolled(prefixIds.length, request.textIds().length, context.held);
    }
    return new Context(
        context.rolling,
        0,
        context.rolling.getFirst().layer().maxTokens(),
        context.rolling.getFirst().layer().maxTokens(),
        queryIds,
        List.of(),
        List.of(),
        List.of());
  }

  @Override
  public KvLayer open(int layer) {
    return rolling.get(layer).layer();
  }

  @Override
  public int logSumExpRows(int layer) {
    Set<Evidence> required = eviction.requires(layer, rolling.get(layer).layer().maxTokens());
    return required.contains(Evidence.ATTENTION_MASS) ? ALL_ROWS : 0;
  }

  @Override
  public void close(int layer, Attended attended) {
    KvLayer layerCache = rolling.get(layer).layer();
    int tokens = layerCache.maxTokens();
    if (request.tracer().isOn()) {
      hold(layer, tokens);
    }
    if (eviction.keptTokens(layer, tokens) == tokens) {
      return;
    }
    CacheOps cache = request.backend().cache();
    try (MemoryScope step = request.scope().child("step")) {
      Set<Evidence> declared = eviction.requires(layer, tokens);
      var evidence =
          new ObservedLayer(
              request.backend(),
              step,
              request.decoder(),
              layer,
              0,
              attended,
              0,
              tokens,
              eviction.keptTokens(layer, tokens),
              0,
              tokens,
              declared);
      TokenSelection selection = eviction.select(evidence, request.backend().tensorOps(step));
      if (Arrays.stream(selection.keptTokens()).distinct().count() > 1) {
        throw new InferenceException(
            ErrorCode.INVALID_ARGUMENT,
            "A rolling cache needs as many tokens in every head; the selector '"
                + request.policies().plan().policy(PolicyKind.SELECTOR)
                + "' or the calibration of the plan keeps "
                + Arrays.toString(selection.keptTokens())
                + ".");
      }
      if (request.tracer().isOn()) {
        drop(layer, selection);
      }
      KvLayer kept = cache.compact(step, layerCache, 0, selection);
      for (int head = 0; head < layerCache.kvHeads(); head++) {
        layerCache.setTokens(head, 0);
      }
      cache.concatenate(layerCache, kept);
      cache.rerotate(layerCache, 0, request.decoder().rope());
    }
  }

  /** Notes that every head of a layer holds as many tokens now, the newest ones added. */
  private void hold(int layer, int tokens) {
    int from = appended[layer];
    appended[layer] += tokens - held.get(layer).getFirst().cardinality();
    held.get(layer).forEach(head -> head.set(from, appended[layer]));
  }

  /** Notes which of the held tokens stay. */
  private void drop(int layer, TokenSelection selection) {
    List<BitSet> stays = Tracer.perHead(request.backend(), selection);
    for (int head = 0; head < stays.size(); head++) {
      int[] before = held.get(layer).get(head).stream().toArray();
      held.get(layer).get(head).clear();
      BitSet after = held.get(layer).get(head);
      stays.get(head).stream().forEach(slot -> after.set(before[slot]));
    }
  }
}
