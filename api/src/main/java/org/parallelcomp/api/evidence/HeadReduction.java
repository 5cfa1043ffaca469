package org.parallelcomp.api.evidence;

/** What becomes of the query heads that share a kv head. */
public enum HeadReduction {
  /** Their mean. */
  MEAN,
  /** Their maximum. */
  MAX,
  /** Their minimum. */
  MIN,
  /** Nothing: one row per query head. */
  NONE
}
