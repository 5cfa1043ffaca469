package org.parallelcomp.api.policy;

import java.util.Locale;

/** The seams at which a plan is put together, each with the type that fills it. */
public enum PolicyKind {
  /** Context to chunks. */
  CHUNKING(ChunkingPolicy.class),
  /** Chunk to worth. */
  CHUNK_SCORER(ChunkScorer.class),
  /** Which chunks stay. */
  CHUNK_EVICTION(ChunkEvictionPolicy.class),
  /** How many tokens stay per layer. */
  BUDGET(BudgetAllocator.class),
  /** Token to worth. */
  TOKEN_SCORER(TokenScorer.class),
  /** Which tokens stay. */
  SELECTOR(Selector.class),
  /** Which tokens with too much attention go. */
  CALIBRATION(CalibrationPolicy.class),
  /** When tokens are evicted. */
  SCHEDULE(EvictionSchedule.class),
  /** Kept chunks to one context. */
  MERGE(ContextMerge.class);

  private final Class<?> type;

  PolicyKind(Class<?> type) {
    this.type = type;
  }

  /** Returns the type that a policy of this kind implements. */
  public Class<?> type() {
    return type;
  }

  /** Returns the name used on the command line, as in "token-scorer". */
  public String label() {
    return name().toLowerCase(Locale.ROOT).replace('_', '-');
  }
}
