package org.parallelcomp.engine;

/** Hears how likely each token of a given continuation is. Called on the thread that asked. */
@FunctionalInterface
public interface LogitsSink {
  /**
   * Takes the logits from which a token would have been drawn.
   *
   * @param index which token of the continuation, from 0
   * @param token the token that is given there
   * @param logits of the whole vocabulary, {@code [vocab]}; the receiver may keep them
   */
  void onLogits(int index, int token, float[] logits);
}
