package org.parallelcomp.api.evidence;

import org.parallelcomp.api.tensor.Tensor;

/**
 * What was observed in one layer while {@code [prefix ; context ; query]} was prefilled. The
 * context is what a policy chooses from; context token 0 stands at position {@link
 * #prefixTokens()}. Each tensor is computed when it is first asked for, and is valid until the
 * policy returns. Asking for evidence that the policy did not declare is an INTERNAL error.
 */
public interface LayerEvidence {
  /** A window that holds every token of the pass: the context's and those behind it. */
  int WHOLE_PASS = Integer.MAX_VALUE;

  /** Returns the layer, counted from 0. */
  int layer();

  /** Returns the number of layers. */
  int layers();

  /** Returns the number of query heads. */
  int queryHeads();

  /** Returns the number of kv heads. */
  int kvHeads();

  /** Returns the numbers per head. */
  int headDim();

  /** Returns the number of tokens before the context (instruction, chat markers). */
  int prefixTokens();

  /** Returns the number of tokens to choose from. */
  int contextTokens();

  /** Returns the number of tokens behind the context (question, chat markers). */
  int queryTokens();

  /** Returns how many tokens may stay per kv head, on average over the heads: the budget. */
  int keptTokens();

  /** Returns the keys after RoPE, {@code [kvHeads, contextTokens, headDim]}. Needs KEYS. */
  Tensor keys();

  /** Returns the values, {@code [kvHeads, contextTokens, headDim]}. Needs VALUES. */
  Tensor values();

  /**
   * Returns the queries of the last tokens of the pass after RoPE, {@code [queryHeads, window,
   * headDim]}. Needs WINDOW_QUERIES.
   *
   * @param window how many; at most as many as there are in the pass, 0 for all behind the context,
   *     {@link #WHOLE_PASS} for all
   */
  Tensor windowQueries(int window);

  /**
   * Returns the attention probability that each context key receives from the last tokens of the
   * pass, summed over them. The normaliser counts every key that a token sees, prefix and query
   * included. Needs ATTENTION_MASS.
   *
   * @param window how many tokens count; at most as many as there are in the pass, 0 for all behind
   *     the context, {@link #WHOLE_PASS} for all, which makes column sums of the whole attention
   * @param reduction over the query heads of a group
   * @return {@code [kvHeads, contextTokens]}, or {@code [queryHeads, contextTokens]} for NONE
   */
  Tensor attentionMass(int window, HeadReduction reduction);

  /**
   * Returns the queries of the context's own tokens after RoPE, {@code [queryHeads, contextTokens,
   * headDim]}. Needs CONTEXT_QUERIES.
   */
  Tensor contextQueries();

  /**
   * Returns the keys as they were before RoPE, {@code [kvHeads, contextTokens, headDim]}, rotated
   * back from the positions at which they stand. Needs UNROTATED_KEYS.
   */
  Tensor unrotatedKeys();

  /**
   * Returns the queries of the context's own tokens before RoPE, {@code [queryHeads, contextTokens,
   * headDim]}. Needs UNROTATED_QUERIES.
   */
  Tensor unrotatedContextQueries();

  /**
   * Returns the mean R of the rotation matrices at the positions directly behind the context,
   * {@code [headDim, headDim]}: an unrotated query q, as a column, is expected there as {@code R q}
   * (as a row, {@code q Rᵀ}). Needs MEAN_ROTATION.
   *
   * @param positions over how many positions the mean is taken, at least 1; they may lie behind the
   *     model's window
   */
  Tensor meanRotation(int positions);

  /**
   * Returns the attention's output projection as F32 {@code [queryHeads, headDim, hiddenDim]}: a
   * value v, as a row, adds {@code p v W_g} to the layer's output where query head g gives it the
   * probability p. Needs OUTPUT_PROJECTION.
   */
  Tensor outputProjection();
}
