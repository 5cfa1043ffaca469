package org.parallelcomp.api.evidence;

import org.parallelcomp.api.tensor.Tensor;

/**
 * What was observed in one layer while {@code [prefix ; context ; query]} was prefilled. The
 * context is what a policy chooses from; context token 0 stands at position {@link
 * #prefixTokens()}. Each tensor is computed when it is first asked for, and is valid until the
 * policy returns. Asking for evidence that the policy did not declare is an INTERNAL error.
 */
public interface LayerEvidence {
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

  /** Returns the keys after RoPE, {@code [kvHeads, contextTokens, headDim]}. Needs KEYS. */
  Tensor keys();

  /** Returns the values, {@code [kvHeads, contextTokens, headDim]}. Needs VALUES. */
  Tensor values();

  /**
   * Returns the queries of the last tokens of the pass after RoPE, {@code [queryHeads, window,
   * headDim]}. Needs WINDOW_QUERIES.
   *
   * @param window how many; at most as many as there are in the pass, 0 for all behind the context
   */
  Tensor windowQueries(int window);

  /**
   * Returns the attention probability that each context key receives from the last tokens of the
   * pass, summed over them. The normaliser counts every key that a token sees, prefix and query
   * included. Needs ATTENTION_MASS.
   *
   * @param window how many tokens count; at most as many as there are in the pass, 0 for all behind
   *     the context
   * @param reduction over the query heads of a group
   * @return {@code [kvHeads, contextTokens]}, or {@code [queryHeads, contextTokens]} for NONE
   */
  Tensor attentionMass(int window, HeadReduction reduction);
}
