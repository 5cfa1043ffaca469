package org.parallelcomp.api.policy;

/**
 * A piece of the context.
 *
 * @param index its place in document order, from 0
 * @param fromToken its first token in the context
 * @param toToken the end (exclusive) of its tokens in the context
 */
public record Chunk(int index, int fromToken, int toToken) {
  public Chunk {
    if (index < 0 || fromToken < 0 || toToken <= fromToken) {
      throw new IllegalArgumentException(
          "chunk " + index + " cannot hold tokens [" + fromToken + ", " + toToken + ")");
    }
  }

  /** Returns how many tokens it holds. */
  public int tokens() {
    return toToken - fromToken;
  }
}
