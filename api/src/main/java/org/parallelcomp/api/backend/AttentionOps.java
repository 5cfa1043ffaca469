package org.parallelcomp.api.backend;

import java.util.List;
import org.jspecify.annotations.Nullable;
import org.parallelcomp.api.evidence.HeadReduction;
import org.parallelcomp.api.tensor.Tensor;

/**
 * Attention over ragged sequences. Query head g reads kv head {@code g / (queryHeads / kvHeads)};
 * {@code queryHeads % kvHeads == 0}. No implementation may hold a matrix of tokens × tokens.
 *
 * <p>All tensors but those of a cache are F32 and may be views whose innermost axis is gapless.
 */
public interface AttentionOps {
  /**
   * Computes softmax attention and the logarithm of its normaliser. A row that sees no key gets
   * zeros and negative infinity.
   *
   * <pre>
   * out       [tokens, queryHeads, headDim]   sum over keys j of p_ij v_j
   * logSumExp [queryHeads, tokens], or null   log of sum over j of exp(scale q_i·k_j)
   * queries   [tokens, queryHeads, headDim]
   * </pre>
   *
   * @param scale factor of the products, usually {@code 1 / sqrt(headDim)}
   * @param sequences which rows see which keys; together they cover every row once
   */
  void attend(
      Tensor out,
      @Nullable Tensor logSumExp,
      Tensor queries,
      float scale,
      List<AttendSequence> sequences);

  /**
   * Optional; false by default. Returns whether attention takes longer for the log-sum-exp: then
   * only the rows whose log-sum-exp somebody reads are attended with it, in a call of their own.
   */
  default boolean logSumExpCosts() {
    return false;
  }

  /**
   * Merges partial attentions over disjoint keys into the attention over all of them: {@code w_p =
   * softmax_p(logSumExp_p)}, {@code out = sum over p of w_p out_p}. What a part holds where its
   * log-sum-exp is negative infinity does not matter, even if it is NaN.
   *
   * <pre>
   * out              [tokens, queryHeads, headDim], may be one of the partial outputs
   * logSumExp        [queryHeads, tokens], or null; may be one of the partial ones
   * partialOuts      each as out
   * partialLogSumExps each as logSumExp
   * </pre>
   */
  void mergePartial(
      Tensor out,
      @Nullable Tensor logSumExp,
      List<Tensor> partialOuts,
      List<Tensor> partialLogSumExps);

  /**
   * Computes how much attention each key receives from the last queries of a sequence: {@code p_ij
   * = exp(scale q_i·k_j - logSumExp_i)}, summed over the window and reduced over the query heads of
   * a group, without a tensor of heads × queries × keys. Keys that a query does not see add
   * nothing.
   *
   * <pre>
   * mass      [kvHeads, toToken - fromToken], or [queryHeads, …] for HeadReduction.NONE
   * queries   [tokens, queryHeads, headDim]    as given to attend
   * logSumExp [queryHeads, tokens]             as attend returned it
   * </pre>
   *
   * @param scale as given to attend
   * @param sequence as given to attend
   * @param windowQueries how many of the sequence's last rows count
   * @param fromToken first key of every head to be measured
   * @param toToken end (exclusive) of the keys to be measured
   * @param reduction what becomes of the query heads that share a kv head
   */
  void attentionMass(
      Tensor mass,
      Tensor queries,
      Tensor logSumExp,
      float scale,
      AttendSequence sequence,
      int windowQueries,
      int fromToken,
      int toToken,
      HeadReduction reduction);
}
