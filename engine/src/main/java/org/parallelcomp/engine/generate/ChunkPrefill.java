package org.parallelcomp.engine.generate;

import java.util.Arrays;
import java.util.List;
import java.util.function.IntConsumer;
import org.parallelcomp.api.backend.Backend;
import org.parallelcomp.api.backend.MemoryScope;
import org.parallelcomp.api.cache.KvLayer;
import org.parallelcomp.api.tensor.Tensor;
import org.parallelcomp.engine.Cancellation;
import org.parallelcomp.engine.model.Decoder;
import org.parallelcomp.engine.text.PromptParts;

/**
 * Prefills single chunks as {@code [prefix ; chunk ; query]}, at positions that start anew for
 * each. A pure function of model, chunk, question and plan: its result does not depend on the other
 * chunks, so chunks can be worked on in any order and anywhere.
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
   * Prefills a chunk.
   *
   * @param chunkIds the chunk's tokens
   * @param owner parent of the scope that will own the chunk's cache
   * @param tokensDone hears how many of the chunk's tokens are done
   */
  Result run(int[] chunkIds, MemoryScope owner, IntConsumer tokensDone) {
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
    try {
      Tensor hidden =
          BlockPrefill.forward(
              decoder,
              tokenIds,
              prompt.prefix().length,
              outputRows,
              layers,
              cancellation,
              new BlockPrefill.Listener() {
                @Override
                public void beforeLastBlock() {
                  layers.beginLastBlock();
                }

                @Override
                public void afterBlock(int done) {
                  tokensDone.accept(Math.min(done, chunkIds.length));
                }
              });
      float[] logLikelihoods = scoreQuestion ? questionLogLikelihoods(hidden) : new float[0];
      return new Result(logLikelihoods, new ChunkCache(chunkScope, layers.kept(), layers.traced()));
    } catch (RuntimeException | Error e) {
      layers.abandon();
      chunkScope.close();
      throw e;
    }
  }

  /** I_c before its sign and mean: log p(question token | chunk, question so far). */
  private float[] questionLogLikelihoods(Tensor hidden) {
    int[] targets = Arrays.copyOfRange(prompt.query(), prompt.questionFrom(), prompt.questionTo());
    int beforeFirst = hidden.shape().intDim(0) - prompt.query().length + prompt.questionFrom() - 1;
    return decoder.logLikelihood(
        hidden.slice(0, beforeFirst, beforeFirst + targets.length), targets);
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
