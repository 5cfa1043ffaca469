package org.parallelcomp.engine.generate;

import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import org.parallelcomp.api.backend.Backend;
import org.parallelcomp.api.backend.MemoryScope;
import org.parallelcomp.api.cache.KvLayer;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.policy.Chunk;
import org.parallelcomp.api.policy.ChunkingInput;
import org.parallelcomp.engine.Cancellation;
import org.parallelcomp.engine.load.ModelConfig;
import org.parallelcomp.engine.model.Decoder;
import org.parallelcomp.engine.model.LayerCaches;
import org.parallelcomp.engine.model.SequenceInput;
import org.parallelcomp.engine.text.PromptParts;

/**
 * A text and a question on their way to a context.
 *
 * @param sessions one per device; the first is where the chunks meet and the answer is decoded
 * @param policies how to go about it
 * @param weightBytes bytes of the model's weights
 * @param prompt what stands around each chunk
 * @param textIds tokens of the text
 * @param sentenceEnds bit t is set if text token t ends a sentence
 * @param paragraphEnds bit t is set if a paragraph begins behind text token t
 * @param answerTokens the most tokens of the answer
 * @param cancellation looked at between chunks and blocks
 * @param progress hears of each chunk: how many chunks there are, and how many tokens are done
 * @param tracer collects what is seen on the way
 */
record ContextRequest(
    List<Session> sessions,
    Policies policies,
    long weightBytes,
    PromptParts prompt,
    int[] textIds,
    BitSet sentenceEnds,
    BitSet paragraphEnds,
    int answerTokens,
    Cancellation cancellation,
    ProgressListener progress,
    Tracer tracer) {

  /** Hears how far the chunks have come. */
  interface ProgressListener {
    /** So many chunks of all are done, and so many tokens. */
    void chunks(int done, int total, long tokensDone);
  }

  ContextRequest {
    sessions = List.copyOf(sessions);
  }

  /** Returns the backend of the first session. */
  Backend backend() {
    return sessions.getFirst().backend();
  }

  /** Returns the decoder of the first session. */
  Decoder decoder() {
    return sessions.getFirst().decoder();
  }

  /** Returns the scope of the first session. */
  MemoryScope scope() {
    return sessions.getFirst().scope();
  }

  ModelConfig config() {
    return decoder().config();
  }

  /** Returns how many tokens stand around a chunk: prefix, query and answer. */
  int tokensAround() {
    return prompt.prefix().length + prompt.query().length + answerTokens;
  }

  /** Returns the most tokens of text that fit the trained window. */
  int roomInWindow() {
    int promptTokens = prompt.prefix().length + prompt.query().length;
    long room = (long) config().trainedWindow() - promptTokens - answerTokens;
    if (room < 1) {
      throw new InferenceException(
          ErrorCode.INVALID_TEXT,
          "The question with its prompt takes "
              + promptTokens
              + " tokens and the answer up to "
              + answerTokens
              + ", which leaves no room for text in the model's window of "
              + config().trainedWindow()
              + " tokens.");
    }
    return (int) room;
  }

  /** Returns the chunks, checked. */
  List<Chunk> chunks() {
    boolean bind = policies.plan().bindToWindow();
    int maxChunkTokens = bind ? roomInWindow() : textIds.length;
    List<Chunk> chunks =
        policies
            .chunking()
            .split(new ChunkingInput(textIds.length, maxChunkTokens, sentenceEnds, paragraphEnds));
    int covered = 0;
    for (Chunk chunk : chunks) {
      if (chunk.fromToken() > covered
          || chunk.toToken() <= covered
          || chunk.tokens() > maxChunkTokens) {
        throw new InferenceException(
            ErrorCode.INTERNAL,
            "The chunking policy returned " + chunk + " behind token " + covered + ".");
      }
      covered = chunk.toToken();
    }
    if (covered != textIds.length) {
      throw new InferenceException(
          ErrorCode.INTERNAL,
          "The chunking policy covered " + covered + " of " + textIds.length + " tokens.");
    }
    return chunks;
  }

  /**
   * Refuses what does not fit the memory that is free now on the first device.
   *
   * @param cachedTokens tokens whose keys and values are held at once in every layer
   * @param passTokens tokens that pass through the decoder together
   * @param outputRows the most of them that must lie in one block
   * @param evidenceBytes what policies look at beside the caches
   */
  void requireMemory(long cachedTokens, int passTokens, int outputRows, long evidenceBytes) {
    requireMemory(backend(), cachedTokens, passTokens, outputRows, evidenceBytes);
  }

  /** Refuses what does not fit the memory that is free now on any device. */
  void requireMemoryEverywhere(
      long cachedTokens, int passTokens, int outputRows, long evidenceBytes) {
    for (Session session : sessions) {
      requireMemory(session.backend(), cachedTokens, passTokens, outputRows, evidenceBytes);
    }
  }

  private void requireMemory(
      Backend device, long cachedTokens, int passTokens, int outputRows, long evidenceBytes) {
    int blockTokens = Math.min(passTokens, Math.max(outputRows, decoder().blockTokens()));
    MemoryPlan.of(decoder().cacheFormat(), weightBytes, cachedTokens, blockTokens)
        .withWorkspace(evidenceBytes)
        .requireFits(device.info().freeBytes());
  }

  /** Returns the tokens of a chunk. */
  int[] idsOf(Chunk chunk) {
    return Arrays.copyOfRange(textIds, chunk.fromToken(), chunk.toToken());
  }

  /** Returns for how many tokens of the answer the caches must have room at the beginning. */
  int answerRoom() {
    return answerRoom(0);
  }

  /**
   * Returns for how many further tokens of the answer the caches must have room: all, or those
   * until the caches are looked at again.
   *
   * @param answered tokens of the answer that have passed
   */
  int answerRoom(int answered) {
    int left = answerTokens - answered;
    return policies
        .schedule()
        .decoding()
        .map(decoding -> Math.min(left, decoding.everyTokens()))
        .orElse(left);
  }

  /** Returns the bytes of keys and values of so many tokens in all layers, uncut. */
  long cacheBytes(long tokens) {
    return decoder().cacheFormat().bytes(tokens);
  }

  /** Prefills the prefix on a device and returns its caches, one per layer. */
  List<KvLayer> prefillPrefix(Session session, MemoryScope workspace) {
    int[] prefixIds = prompt.prefix();
    List<KvLayer> layers = session.decoder().allocateLayers(workspace, prefixIds.length);
    if (prefixIds.length > 0) {
      BlockPrefill.forward(
          session.decoder(),
          new SequenceInput(prefixIds, 0, 0, LayerCaches.growing(layers)),
          cancellation,
          BlockPrefill.Listener.NONE);
    }
    return layers;
  }
}
