package org.parallelcomp.engine;

/**
 * A switch by which another thread ends a request. It is looked at between chunks and between
 * tokens; the request then returns what it has, with {@link FinishReason#CANCELLED}.
 */
public final class Cancellation {
  private volatile boolean cancelled;

  /** Creates a switch that is off. */
  public Cancellation() {}

  /** Asks the request to end. */
  public void cancel() {
    cancelled = true;
  }

  /** Returns whether {@link #cancel} was called. */
  public boolean isCancelled() {
    return cancelled;
  }
}
