package org.parallelcomp.api.evidence;

/** What can be observed while a chunk is prefilled. What no policy asks for is never computed. */
public enum Evidence {
  /** The context's keys, after RoPE. */
  KEYS,
  /** The context's values. */
  VALUES,
  /** The queries of the last tokens of the pass. */
  WINDOW_QUERIES,
  /** The attention that each key receives from the last queries of the pass, or from all. */
  ATTENTION_MASS,
  /** The queries of the context's own tokens, after RoPE. Only while a chunk is prefilled. */
  CONTEXT_QUERIES,
  /** The context's keys as they were before RoPE. */
  UNROTATED_KEYS,
  /** The queries of the context's own tokens before RoPE. Only while a chunk is prefilled. */
  UNROTATED_QUERIES,
  /** The mean of the rotations at the positions behind the context. */
  MEAN_ROTATION,
  /** What the values of each query head add to the layer's output. */
  OUTPUT_PROJECTION,
  /** The log-probability of each token of the question, given the chunk. */
  QUESTION_LIKELIHOOD,
  /** The log-probability of each token of the question, given no chunk at all. */
  QUESTION_PRIOR,
  /** The token ids of the question and of all chunks. */
  TOKEN_IDS
}
