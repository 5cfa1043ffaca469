package org.parallelcomp.engine;

/** Why the answer ended. */
public enum FinishReason {
  /** The model ended its turn. */
  STOP_TOKEN,
  /** A stop string came up; it is not part of the answer. */
  STOP_STRING,
  /** The requested number of tokens was reached. */
  MAX_TOKENS,
  /** No chunk of the text explains the question, so nothing was answered; a warning says so. */
  NO_CHUNK_KEPT,
  /** {@link Cancellation#cancel} was called. */
  CANCELLED
}
