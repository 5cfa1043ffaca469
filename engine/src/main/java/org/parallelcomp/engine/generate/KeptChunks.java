package org.parallelcomp.engine.generate;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.parallelcomp.api.backend.Backend;
import org.parallelcomp.api.backend.CacheOps;
import org.parallelcomp.api.backend.MemoryScope;
import org.parallelcomp.api.cache.KvLayer;
import org.parallelcomp.api.policy.Chunk;
import org.parallelcomp.api.policy.ContextMerge;
import org.parallelcomp.api.policy.SinkReweighting;
import org.parallelcomp.api.tensor.Tensor;
import org.parallelcomp.engine.PassTrace;
import org.parallelcomp.engine.model.ContextWeighting;

/**
 * The chunks that are kept, on their way to one context.
 *
 * <p>Making it closes their caches.
 */
final class KeptChunks {
  private final ContextRequest request;
  private final List<ScoredChunk> kept;

  /**
   * @param kept in document order
   */
  KeptChunks(ContextRequest request, List<ScoredChunk> kept) {
    this.request = request;
    this.kept = kept;
  }

  /**
   * Returns the kept caches in document order behind one prefix; the query goes behind the longest
   * chunk.
   */
  Context sideBySide() {
    int prefixTokens = request.prompt().prefix().length;
    var layers = new ArrayList<OwnedLayer>();
    var weightings = new ArrayList<ContextWeighting>();
    List<Integer> tokens = kept.stream().map(scored -> scored.chunk().tokens()).toList();
    int longest = kept.stream().mapToInt(this::positions).max().orElse(0);
    try (MemoryScope step = request.scope().child("prefix")) {
      List<KvLayer> prefix = request.prefillPrefix(request.sessions().getFirst(), step);
      for (int layer = 0; layer < request.config().layers(); layer++) {
        try (MemoryScope arrivals = request.scope().child("arrivals")) {
          var parts = new ArrayList<KvLayer>();
          for (ScoredChunk scored : kept) {
            parts.add(here(arrivals, scored, layer));
          }
          layers.add(merged(prefix.get(layer), parts));
          weightings.add(weighting(layer, prefixTokens, parts));
        }
        // Layer by layer, so that no more than one of them is held twice.
        for (ScoredChunk scored : kept) {
          scored.cache().layers().get(layer).close();
        }
      }
    }
    var keptChunks = new ArrayList<Context.KeptChunk>();
    for (ScoredChunk scored : kept) {
      keptChunks.add(
          new Context.KeptChunk(
              scored.chunk().index(),
              scored.selfInformation(),
              scored.cache().keptTokensPerLayer()));
      scored.cache().close();
    }
    if (request.tracer().isOn()) {
      request.tracer().sideBySide(passes());
    }
    boolean weighs = weightings.stream().anyMatch(weighting -> weighting != null);
    return new Context(
        layers,
        prefixTokens,
        tokens.stream().mapToInt(Integer::intValue).sum(),
        prefixTokens + longest,
        request.prompt().query(),
        keptChunks,
        Context.ends(tokens),
        weighs ? weightings : List.of());
  }

  /** Returns how many positions a chunk takes behind the prefix. */
  private int positions(ScoredChunk scored) {
    if (!request.policies().rerotatesChunks()) {
      return scored.chunk().tokens();
    }
    return scored.cache().layers().stream()
        .mapToInt(owned -> owned.layer().maxTokens())
        .max()
        .orElse(0);
  }

  /** Returns one layer of prefix and parts, with room for query and answer. */
  private OwnedLayer merged(KvLayer prefix, List<KvLayer> parts) {
    int[] capacities = new int[request.config().kvHeads()];
    Arrays.fill(
        capacities, prefix.maxTokens() + request.prompt().query().length + request.answerRoom());
    for (KvLayer part : parts) {
      Arrays.setAll(capacities, head -> capacities[head] + part.tokens(head));
    }
    OwnedLayer merged =
        OwnedLayer.allocate(
            request.backend(), request.scope(), capacities, request.config().headDim());
    CacheOps cache = request.backend().cache();
    cache.concatenate(merged.layer(), prefix);
    parts.forEach(part -> cache.concatenate(merged.layer(), part));
    return merged;
  }

  private List<PassTrace> passes() {
    return kept.stream()
        .map(
            scored ->
                new PassTrace(
                    request.prompt().prefix().length,
                    IntStream.range(scored.chunk().fromToken(), scored.chunk().toToken()).toArray(),
                    request.prompt().query().length,
                    scored.cache().traced()))
        .toList();
  }

  /** Returns a chunk's layer on the first device, where it may have to be brought. */
  private KvLayer here(MemoryScope arrivals, ScoredChunk scored, int layer) {
    KvLayer there = scored.cache().layers().get(layer).layer();
    Backend backend = scored.session().backend();
    return backend == request.backend()
        ? there
        : request.backend().copyOf(arrivals, backend, there);
  }

  /** How attention to the kept chunks is weighed in a layer, or null if it is plain. */
  private @Nullable ContextWeighting weighting(int layer, int prefixTokens, List<KvLayer> parts) {
    int[] from = new int[request.config().kvHeads()];
    Arrays.fill(from, prefixTokens);
    if (request.policies().merge() instanceof ContextMerge.Ape ape) {
      int[] to = from.clone();
      parts.forEach(part -> Arrays.setAll(to, head -> to[head] + part.tokens(head)));
      return new ContextWeighting.Tempered(
          new ContextWeighting.Range(from, to), ape.temperature(), ape.scale());
    }
    SinkReweighting reweighting =
        request.policies().calibration().reweighting(layer, request.config().layers()).orElse(null);
    if (reweighting == null) {
      return null;
    }
    var sinks = new ArrayList<ContextWeighting.Range>();
    for (KvLayer part : parts) {
      int[] to = new int[from.length];
      Arrays.setAll(
          to, head -> from[head] + sinks(part, head, prefixTokens + reweighting.sinkTokens()));
      sinks.add(new ContextWeighting.Range(from.clone(), to));
      Arrays.setAll(from, head -> from[head] + part.tokens(head));
    }
    return new ContextWeighting.LighterSinks(sinks, reweighting.beta());
  }

  /** How many of a head's keys stand before a position. */
  private int sinks(KvLayer part, int head, int position) {
    int first = part.firstSlot(head);
    Tensor positions = part.positions().slice(0, first, first + part.tokens(head));
    return (int)
        Arrays.stream(request.backend().host().copyToHostInts(positions))
            .filter(p -> p < position)
            .count();
  }

  /** Returns the kept chunks' tokens as one text, to be read once more. */
  Context asOneText() {
    var keptChunks = new ArrayList<Context.KeptChunk>();
    var texts = new ArrayList<int[]>();
    var textTokens = IntStream.builder();
    int readTo = 0;
    for (ScoredChunk scored : kept) {
      Chunk chunk = scored.chunk();
      // Overlapping chunks share tokens, which one text holds once.
      int from = Math.max(chunk.fromToken(), readTo);
      texts.add(Arrays.copyOfRange(request.textIds(), from, chunk.toToken()));
      IntStream.range(from, chunk.toToken()).forEach(textTokens);
      readTo = chunk.toToken();
      keptChunks.add(
          Context.KeptChunk.whole(chunk, scored.selfInformation(), request.config().layers()));
      scored.cache().close();
    }
    request.tracer().whole(textTokens.build());
    return PlainContext.of(
        request,
        ChunkPrefill.concat(texts.toArray(int[][]::new)),
        keptChunks,
        Context.ends(texts.stream().map(ids -> ids.length).toList()));
  }
}
