package org.parallelcomp.engine.model;

/**
 * A run of tokens that pass through the decoder together.
 *
 * @param tokenIds the tokens
 * @param firstPosition position of the first token; the others follow it
 * @param outputRows how many of the last tokens' hidden states are wanted. In the last layer the
 *     others only leave keys and values, and their attention and feed-forward part is not computed
 * @param caches where the sequence's keys and values are and go
 */
public record SequenceInput(int[] tokenIds, int firstPosition, int outputRows, LayerCaches caches) {
  public SequenceInput {
    if (tokenIds.length == 0 || outputRows < 0 || outputRows > tokenIds.length) {
      throw new IllegalArgumentException(
          "cannot return " + outputRows + " rows of " + tokenIds.length + " tokens");
    }
  }
}
