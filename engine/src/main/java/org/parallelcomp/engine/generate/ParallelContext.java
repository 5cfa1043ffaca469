package org.parallelcomp.engine.generate;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.function.IntConsumer;
import java.util.stream.IntStream;
import org.parallelcomp.api.backend.MemoryScope;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.evidence.ChunkEvidence;
import org.parallelcomp.api.evidence.ChunkTexts;
import org.parallelcomp.api.policy.Chunk;
import org.parallelcomp.api.policy.ChunkEvictionPolicy;
import org.parallelcomp.api.policy.ChunkEvictionRequest;
import org.parallelcomp.api.policy.ContextMerge;
import org.parallelcomp.api.tensor.Tensor;
import org.parallelcomp.engine.Cancellation;
import org.parallelcomp.engine.model.LayerCaches;
import org.parallelcomp.engine.model.SequenceInput;
import org.parallelcomp.engine.text.PromptParts;

/**
 * ParallelComp (arXiv 2502.14317): every chunk on its own at reused positions, the chunks that
 * explain the question best are kept, of those the tokens that the question looks at, and the kept
 * caches become one context.
 */
final class ParallelContext {
  private final ContextRequest request;
  private final List<Chunk> chunks;

  /** The chunks that pass through the decoder together. */
  private final List<List<Chunk>> groups;

  private final ChunkEvictionPolicy.Queue queue;
  private final TokenEviction eviction;
  private final Optional<ChunkTexts> texts;
  private List<Float> questionPrior = List.of();
  private double best = Double.NaN;
  private long tokensDone;

  private ParallelContext(ContextRequest request, List<Chunk> chunks) {
    this.request = request;
    this.chunks = chunks;
    this.groups =
        ChunkGroups.of(chunks, request.prompt().query().length, request.decoder().blockTokens());
    boolean reread = request.policies().merge() instanceof ContextMerge.Reread;
    this.queue =
        request
            .policies()
            .chunkEviction()
            .start(
                new ChunkEvictionRequest(
                    chunks, reread ? request.roomInWindow() : Integer.MAX_VALUE));
    int keptChunks = Math.min(queue.capacity(), chunks.size());
    this.eviction =
        TokenEviction.perChunk(request.policies(), request.decoder().cacheFormat(), keptChunks);
    this.texts = request.policies().needsTokenIds() ? Optional.of(texts()) : Optional.empty();
  }

  /** Returns the context for the question. */
  static Context build(ContextRequest request, List<Chunk> chunks) {
    return new ParallelContext(request, chunks).build();
  }

  private Context build() {
    boolean oneText = chunks.size() == 1 && !eviction.evictsAnywhere(chunks.getFirst().tokens());
    boolean weighs = request.policies().weighsAttention(request.config().layers());
    if (oneText && !weighs && !request.policies().needsQuestionLikelihood()) {
      request.progress().chunks(0, 1, 0);
      request.tracer().whole(IntStream.range(0, request.textIds().length));
      return PlainContext.of(
          request,
          request.textIds(),
          List.of(
              Context.KeptChunk.whole(chunks.getFirst(), Double.NaN, request.config().layers())),
          List.of(chunks.getFirst().tokens()));
    }
    return switch (request.policies().merge()) {
      case ContextMerge.Parallel parallel -> prefillChunks(true).sideBySide();
      case ContextMerge.Ape ape -> prefillChunks(true).sideBySide();
      case ContextMerge.Reread reread -> prefillChunks(false).asOneText();
    };
  }

  /** One device at work on chunks. */
  private record Worker(Session session, ChunkPrefill prefill) {}

  /** What a worker made of a chunk, and the event that measured it, still to be written. */
  private record Prefilled(
      Chunk chunk, Session session, ChunkPrefill.Result result, PhaseEvents.ChunkPrefill event) {}

  /** Prefills every chunk and lets go of those that the eviction policy drops on the way. */
  private KeptChunks prefillChunks(boolean keepCaches) {
    var live = new TreeMap<Integer, ScoredChunk>();
    requireMemory();
    if (request.policies().needsQuestionPrior()) {
      questionPrior = questionPrior();
    }
    int devices = devices();
    var workspaces = new ArrayList<MemoryScope>();
    try {
      var workers = new ArrayList<Worker>();
      Cancellation cancellation = request.cancellation().child();
      for (Session session : request.sessions().subList(0, devices)) {
        MemoryScope workspace = session.scope().child("workspace");
        workspaces.add(workspace);
        workers.add(worker(session, workspace, keepCaches, cancellation));
      }
      ChunkWorkers.run(
          workers,
          groups.size(),
          (worker, group) -> prefill(worker, groups.get(group), devices == 1),
          group -> group.forEach(prefilled -> take(live, prefilled)),
          cancellation::cancel);
      request.progress().chunks(chunks.size(), chunks.size(), tokensDone);
    } finally {
      workspaces.forEach(MemoryScope::close);
    }
    List<Integer> kept = queue.kept();
    if (!live.keySet().containsAll(kept)) {
      throw new InferenceException(
          ErrorCode.INTERNAL,
          "The chunk eviction policy kept " + kept + " of " + live.keySet() + ".");
    }
    evict(live, live.keySet().stream().filter(chunk -> !kept.contains(chunk)).toList());
    if (kept.isEmpty()) {
      throw new NoChunkKept(best);
    }
    requireRoom(kept);
    return new KeptChunks(request, List.copyOf(live.values()));
  }

  private Worker worker(
      Session session, MemoryScope workspace, boolean keepCaches, Cancellation cancellation) {
    return new Worker(
        session,
        new ChunkPrefill(
            session.backend(),
            session.decoder(),
            request.prompt(),
            request.prefillPrefix(session, workspace),
            eviction,
            request.policies().needsQuestionLikelihood(),
            keepCaches,
            request.policies().rerotatesChunks(),
            request.tracer().isOn(),
            new LayerPool(session.decoder(), workspace, uncutTokens()),
            cancellation));
  }

  /** Prefills a group of chunks on the worker's thread. */
  private List<Prefilled> prefill(Worker worker, List<Chunk> group, boolean alone) {
    RequestCancelled.check(worker.prefill().cancellation());
    IntConsumer progress = groupTokens -> {};
    if (alone) {
      int first = group.getFirst().index();
      long before = tokensDone;
      progress =
          groupTokens -> request.progress().chunks(first, chunks.size(), before + groupTokens);
      progress.accept(0);
    }
    var events = new ArrayList<PhaseEvents.ChunkPrefill>();
    for (int i = 0; i < group.size(); i++) {
      events.add(new PhaseEvents.ChunkPrefill());
      events.getLast().begin();
    }
    List<ChunkPrefill.Result> results =
        worker
            .prefill()
            .run(group.stream().map(request::idsOf).toList(), worker.session().scope(), progress);
    var prefilled = new ArrayList<Prefilled>();
    for (int i = 0; i < group.size(); i++) {
      events.get(i).chunksInPass = group.size();
      events.get(i).end();
      prefilled.add(new Prefilled(group.get(i), worker.session(), results.get(i), events.get(i)));
    }
    return prefilled;
  }

  /** Scores a chunk, and lets go of those that it puts out; chunks come in the text's order. */
  private void take(SortedMap<Integer, ScoredChunk> live, Prefilled prefilled) {
    Chunk chunk = prefilled.chunk();
    float[] logLikelihoods = prefilled.result().questionLogLikelihoods();
    double score = score(chunk, logLikelihoods);
    best = Double.isNaN(best) || score > best ? score : best;
    prefilled.event().chunk = chunk.index();
    prefilled.event().tokens = chunk.tokens();
    prefilled.event().score = score;
    prefilled.event().commit();
    double selfInformation = selfInformation(logLikelihoods);
    request.tracer().scored(chunk.index(), score, selfInformation);
    live.put(
        chunk.index(),
        new ScoredChunk(chunk, selfInformation, prefilled.result().cache(), prefilled.session()));
    evict(live, queue.offer(chunk.index(), score));
    tokensDone += chunk.tokens();
    if (request.sessions().size() > 1) {
      request.progress().chunks(chunk.index() + 1, chunks.size(), tokensDone);
    }
  }

  /** Returns how many devices work on chunks: more than there are groups have nothing to do. */
  private int devices() {
    return Math.min(request.sessions().size(), groups.size());
  }

  /** Returns the most tokens that pass for a chunk: its own and the query. */
  private int passTokens() {
    return longestChunk() + request.prompt().query().length;
  }

  /** Returns the most tokens of an uncut cache: prefix, chunk and query. */
  private int uncutTokens() {
    return request.prompt().prefix().length + passTokens();
  }

  private void requireRoom(List<Integer> kept) {
    long tokens = kept.stream().mapToLong(chunk -> chunks.get(chunk).tokens()).sum();
    boolean reread = request.policies().merge() instanceof ContextMerge.Reread;
    if (reread && tokens > request.roomInWindow()) {
      throw new InferenceException(
          ErrorCode.INTERNAL,
          "The chunk eviction policy kept "
              + tokens
              + " tokens to be read once more, where the window has room for "
              + request.roomInWindow()
              + ".");
    }
  }

  /**
   * The chunks that are kept so far and those of the groups that are being cut; the uncut caches of
   * a group, of one layer at a time unless a chunk is longer than a block; when the kept ones are
   * merged, one layer is held twice.
   */
  private void requireMemory() {
    int layers = request.config().layers();
    int mostKept = 0;
    for (int layer = 0; layer < layers; layer++) {
      mostKept = Math.max(mostKept, eviction.keptTokens(layer, longestChunk()));
    }
    int group = groups.stream().mapToInt(List::size).max().orElse(0);
    long passing = (long) group * (devices() == 1 ? 1 : ChunkWorkers.AHEAD);
    long live = Math.min(chunks.size(), queue.capacity() + passing);
    boolean oneBlock = passTokens() <= request.decoder().blockTokens();
    long uncut = oneBlock ? Math.ceilDiv((long) group * uncutTokens(), layers) : uncutTokens();
    long merging = live * mostKept / layers + 1;
    int scored = request.policies().needsQuestionLikelihood() ? questionTokens() : 0;
    request.requireMemoryEverywhere(
        live * mostKept + merging + uncut + request.tokensAround(),
        group * passTokens(),
        eviction.windowTokens(request.prompt().query().length, longestChunk()),
        eviction.evidenceBytes(longestChunk())
            + request.decoder().logitsBytes((long) group * scored));
  }

  private int questionTokens() {
    return request.prompt().questionTo() - request.prompt().questionFrom();
  }

  private int longestChunk() {
    return chunks.stream().mapToInt(Chunk::tokens).max().orElse(0);
  }

  private double score(Chunk chunk, float[] logLikelihoods) {
    var evidence =
        new ChunkEvidence(
            chunk.index(),
            chunks.size(),
            chunk.tokens(),
            floats(logLikelihoods),
            questionPrior,
            texts);
    return request.policies().chunkScorer().score(evidence);
  }

  private static List<Float> floats(float[] numbers) {
    return IntStream.range(0, numbers.length).mapToObj(i -> numbers[i]).toList();
  }

  /**
   * Returns the log-probability of each token of the question where no chunk stands before it. A
   * first token that nothing at all stands before counts as any of the vocabulary.
   */
  private List<Float> questionPrior() {
    PromptParts prompt = request.prompt();
    int[] ids = ChunkPrefill.concat(prompt.prefix(), prompt.query());
    int questionFrom = prompt.prefix().length + prompt.questionFrom();
    int questionTo = prompt.prefix().length + prompt.questionTo();
    int from = Math.max(1, questionFrom);
    var prior = new ArrayList<Float>();
    if (questionFrom == 0) {
      prior.add((float) -Math.log(request.config().vocab()));
    }
    if (from == questionTo) {
      return prior;
    }
    try (MemoryScope scope = request.scope().child("question")) {
      Tensor hidden =
          BlockPrefill.forward(
              request.decoder(),
              new SequenceInput(
                  ids,
                  0,
                  ids.length - from + 1,
                  LayerCaches.growing(request.decoder().allocateLayers(scope, ids.length))),
              request.cancellation(),
              BlockPrefill.Listener.NONE);
      prior.addAll(
          floats(
              request
                  .decoder()
                  .logLikelihood(
                      hidden.slice(0, 0, questionTo - from),
                      Arrays.copyOfRange(ids, from, questionTo))));
    }
    return prior;
  }

  private ChunkTexts texts() {
    PromptParts prompt = request.prompt();
    return new ChunkTexts(
        Arrays.copyOfRange(prompt.query(), prompt.questionFrom(), prompt.questionTo()),
        chunks.stream().map(request::idsOf).toList());
  }

  /** I_c = - mean of log p(question token | chunk), in nats. */
  private static double selfInformation(float[] logLikelihoods) {
    return -IntStream.range(0, logLikelihoods.length)
        .mapToDouble(i -> logLikelihoods[i])
        .average()
        .orElse(Double.NaN);
  }

  private static void evict(SortedMap<Integer, ScoredChunk> live, List<Integer> evicted) {
    for (int chunk : evicted) {
      ScoredChunk scored = live.remove(chunk);
      if (scored == null) {
        throw new InferenceException(
            ErrorCode.INTERNAL, "The chunk eviction policy evicted chunk " + chunk + " twice.");
      }
      var event = new PhaseEvents.ChunkEviction();
      event.begin();
      event.chunk = chunk;
      event.freedBytes = scored.cache().scope().allocatedBytes();
      scored.cache().close();
      event.commit();
    }
  }
}
