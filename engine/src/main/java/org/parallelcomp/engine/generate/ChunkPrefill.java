package org.parallelcomp.engine.generate;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.IntConsumer;
import org.parallelcomp.api.backend.Backend;
import org.parallelcomp.api.backend.MemoryScope;
import org.parallelcomp.api.cache.KvLayer;
import org.parallelcomp.api.tensor.Tensor;
import org.parallelcomp.engine.Cancellation;
import org.parallelcomp.engine.model.Decoder;
import org.parallelcomp.engine.model.SequenceInput;
import org.parallelcomp.engine.text.PromptParts;

/**
 * Prefills chunks as {@code [prefix ; chunk ; query]}, at positions that start anew for each.
 * Several chunks may pass together, so that a device has enough to do; they do not see one another.
 * What becomes of a chunk is a pure function of model, chunk, question and plan, so groups of
 * chunks can be worked on in any order and anywhere.
 *
 * <p>The prefix is the same for all chunks and sees nothing behind it, so its keys and values are
 * computed once.
 */
final class ChunkPrefill {
  private final Backend backend;
  private final Decoder decoder;
  private final PromptParts prompt;
  private final List<KvLayer> prefix;
  private final TokenEviction eviction;
  private final boolean scoreQuestion;
  private final boolean keepCaches;
  private final boolean rerotate;
  private final boolean trace;
  private final LayerPool pool;
  private final Cancellation cancellation;

  /**
   * @param prefix keys and values of the prompt's prefix
   * @param scoreQuestion whether the likelihood of the question is wanted
   * @param keepCaches whether the chunk's cache is wanted
   * @param rerotate whether its kept keys are rotated to consecutive positions
   * @param trace whether what its layers showed is wanted
   * @param pool uncut layers with room for prefix, chunk and query
   */
  ChunkPrefill(
      Backend backend,
      Decoder decoder,
      PromptParts prompt,
      List<KvLayer> prefix,
      TokenEviction eviction,
      boolean scoreQuestion,
      boolean keepCaches,
      boolean rerotate,
      boolean trace,
      LayerPool pool,
      Cancellation cancellation) {
    this.backend = backend;
    this.decoder = decoder;
    this.prompt = prompt;
    this.prefix = prefix;
    this.eviction = eviction;
    this.scoreQuestion = scoreQuestion;
    this.keepCaches = keepCaches;
    this.rerotate = rerotate;
    this.trace = trace;
    this.pool = pool;
    this.cancellation = cancellation;
  }

  /** Returns what ends it early. */
  Cancellation cancellation() {
    return cancellation;
  }

  /**
   * What a chunk's prefill yields.
   *
   * @param questionLogLikelihoods per token of the question; empty if not wanted
   * @param cache what stays of the chunk
   */
  record Result(float[] questionLogLikelihoods, ChunkCache cache) {}

  /**
   * Prefills chunks in one pass. A lone one may be longer than a block; then it passes block by
   * block.
   *
   * @param chunks the tokens of each, which with the queries behind them fit into one block
   * @param owner parent of the scopes that will own the chunks' caches
   * @param tokensDone hears how many of the chunks' tokens are done
   * @return a result for each chunk; after a failure nothing of any of them is left
   */
  List<Result> run(List<int[]> chunks, MemoryScope owner, IntConsumer tokensDone) {
    var passing = new ArrayList<Passing>();
    try {
      chunks.forEach(chunkIds -> passing.add(begin(chunkIds, owner)));
      List<Tensor> hidden = forward(passing, tokensDone);
      List<float[]> logLikelihoods = scoreQuestion ? questionLogLikelihoods(hidden) : List.of();
      var results = new ArrayList<Result>();
      for (int i = 0; i < chunks.size(); i++) {
        results.add(
            new Result(
                scoreQuestion ? logLikelihoods.get(i) : new float[0], passing.get(i).cache()));
      }
      return results;
    } catch (RuntimeException | Error e) {
      passing.forEach(Passing::abandon);
      throw e;
    }
  }

  /**
   * A chunk on its way.
   *
   * @param chunkTokens without the query
   * @param input chunk and query
   * @param scope owner of what stays of it
   */
  private record Passing(
      int chunkTokens, SequenceInput input, ChunkLayers layers, MemoryScope scope) {
    ChunkCache cache() {
      return new ChunkCache(scope, layers.kept(), layers.traced());
    }

    void abandon() {
      layers.abandon();
      scope.close();
    }
  }

  private Passing begin(int[] chunkIds, MemoryScope owner) {
    int[] query = prompt.query();
    int windowTokens = keepCaches ? eviction.windowTokens(query.length, chunkIds.length) : 0;
    boolean withQuery = scoreQuestion || windowTokens > 0;
    int[] tokenIds = withQuery ? concat(chunkIds, query) : chunkIds;
    // The question's first token is predicted by the token before the query.
    int outputRows =
        Math.min(tokenIds.length, Math.max(scoreQuestion ? query.length + 1 : 0, windowTokens));
    MemoryScope chunkScope = owner.child("chunk");
    var layers =
        new ChunkLayers(
            backend,
            decoder,
            pool,
            prefix,
            eviction,
            keepCaches ? chunkScope : null,
            rerotate,
            chunkIds.length,
            withQuery ? query.length : 0,
            trace);
    var input = new SequenceInput(tokenIds, prompt.prefix().length, outputRows, layers);
    return new Passing(chunkIds.length, input, layers, chunkScope);
  }

  private List<Tensor> forward(List<Passing> chunks, IntConsumer tokensDone) {
    var lastBlocks = new ArrayList<SequenceInput>();
    for (Passing chunk : chunks) {
      lastBlocks.add(
          BlockPrefill.upToLastBlock(
              decoder,
              chunk.input,
              cancellation,
              done -> tokensDone.accept(Math.min(done, chunk.chunkTokens))));
    }
    chunks.forEach(chunk -> chunk.layers.beginLastBlock());
    List<Tensor> hidden = decoder.forward(lastBlocks);
    tokensDone.accept(chunks.stream().mapToInt(Passing::chunkTokens).sum());
    return hidden;
  }

  /** I_c before its sign and mean: log p(question token | chunk, question so far). */
  private List<float[]> questionLogLikelihoods(List<Tensor> hidden) {
    int[] targets = Arrays.copyOfRange(prompt.query(), prompt.questionFrom(), prompt.questionTo());
    int behindBeforeFirst = prompt.query().length - prompt.questionFrom() + 1;
    List<Tensor> beforeTargets =
        hidden.stream()
            .map(
                rows -> {
                  int beforeFirst = rows.shape().intDim(0) - behindBeforeFirst;
                  return rows.slice(0, beforeFirst, beforeFirst + targets.length);
                })
            .toList();
    return decoder.logLikelihoods(beforeTargets, targets);
  }

  static int[] concat(int[]... parts) {
    int[] all = new int[Arrays.stream(parts).mapToInt(part -> part.length).sum()];
    int at = 0;
    for (int[] part : parts) {
      System.arraycopy(part, 0, all, at, part.length);
      at += part.length;
    }
    return all;
  }
}
