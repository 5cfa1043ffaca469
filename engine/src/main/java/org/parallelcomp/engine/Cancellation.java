package org.parallelcomp.engine;

import org.jspecify.annotations.Nullable;

/**
 * A switch by which another thread ends a request. It is looked at between chunks and between
 * tokens; the request then returns what it has, with {@link FinishReason#CANCELLED}.
 */
public final class Cancellation {
  private final @Nullable Cancellation parent;
  private volatile boolean cancelled;

  /** Creates a switch that is off. */
  public Cancellation() {
    this(null);
  }

  private Cancellation(@Nullable Cancellation parent) {
    this.parent = parent;
  }

  /** Returns a switch that is on when this one is, and can be turned on alone. */
  public Cancellation child() {
    return new Cancellation(this);
  }

  /** Asks the request to end. */
  public void cancel() {
    cancelled = true;
  }

  /** Returns whether {@link #cancel} was called. */
  public boolean isCancelled() {
    return cancelled || parent != null && parent.isCancelled();
  }
}
