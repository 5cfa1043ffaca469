package org.parallelcomp.api.policy;

import java.util.List;

/** Decides which chunks stay, while they are being scored one after another. */
@FunctionalInterface
public interface ChunkEvictionPolicy {
  /**
   * Starts a request.
   *
   * @throws org.parallelcomp.api.error.InferenceException INVALID_ARGUMENT if what the policy may
   *     keep cannot be kept together
   */
  Queue start(ChunkEvictionRequest request);

  /** The state of one request. Holds a bounded number of chunks, so that memory is bounded too. */
  interface Queue {
    /** Returns the most chunks that are kept at any time. */
    int capacity();

    /**
     * Offers a scored chunk.
     *
     * @return the chunks that are evicted now, perhaps the offered one; usually none or one
     */
    List<Integer> offer(int chunk, double score);

    /**
     * Returns the chunks that stay, in document order. Called once, after the last offer. None
     * means that no chunk explains the question, and the engine then says so instead of answering.
     */
    List<Integer> kept();
  }
}
