package org.parallelcomp.engine;

/**
 * How far a request has come.
 *
 * @param phase what is going on
 * @param done steps done: chunks in PREFILL and REREAD, tokens in DECODE, else 0 or 1
 * @param total steps in all
 * @param tokensDone tokens worked on in this phase
 * @param elapsedNanos time since the phase began
 */
public record Progress(Phase phase, int done, int total, long tokensDone, long elapsedNanos) {
  /** The phases of a request, in order. */
  public enum Phase {
    /** Text to tokens. */
    READ,
    /** Chunks, each on its own, scored and cut. */
    PREFILL,
    /** Kept chunks to one context, and the question behind it. */
    MERGE,
    /** Token by token. */
    DECODE
  }
}
