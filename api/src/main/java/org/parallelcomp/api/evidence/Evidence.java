package org.parallelcomp.api.evidence;

/** What can be observed while a chunk is prefilled. What no policy asks for is never computed. */
public enum Evidence {
  /** The chunk's keys, after RoPE. */
  KEYS,
  /** The chunk's values. */
  VALUES,
  /** The queries of the last tokens of the pass. */
  WINDOW_QUERIES,
  /** The attention that each key receives from the last queries. */
  ATTENTION_MASS,
  /** The log-probability of each token of the question, given the chunk. */
  QUESTION_LIKELIHOOD
}
