package org.parallelcomp.api.backend;

import org.jspecify.annotations.Nullable;
import org.parallelcomp.api.tensor.Tensor;

/**
 * The weights around the attention of one layer.
 *
 * <pre>
 * norm         [hiddenDim]                              RMSNorm before the projections
 * query        [queryHeads * headDim, hiddenDim]        any weight type
 * key, value   [kvHeads * headDim, hiddenDim]
 * …Bias        [rows of the matrix]                     F32, or null
 * queryNorm    [headDim]                                RMSNorm of each head before RoPE, or null
 * keyNorm      [headDim]
 * output       [hiddenDim, queryHeads * headDim]
 * </pre>
 *
 * @param epsilon added to the mean square in each RMSNorm
 */
public record AttentionBlock(
    Tensor norm,
    Tensor query,
    @Nullable Tensor queryBias,
    Tensor key,
    @Nullable Tensor keyBias,
    Tensor value,
    @Nullable Tensor valueBias,
    @Nullable Tensor queryNorm,
    @Nullable Tensor keyNorm,
    Tensor output,
    @Nullable Tensor outputBias,
    float epsilon) {}
