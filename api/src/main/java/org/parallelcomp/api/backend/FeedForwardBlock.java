package org.parallelcomp.api.backend;

import org.parallelcomp.api.tensor.Tensor;

/**
 * The weights of the gated feed-forward part of one layer (SwiGLU, arXiv 2002.05202).
 *
 * <pre>
 * norm      [hiddenDim]                      RMSNorm before the projections
 * gate, up  [feedForwardDim, hiddenDim]      any weight type
 * down      [hiddenDim, feedForwardDim]
 * </pre>
 *
 * @param epsilon added to the mean square in the RMSNorm
 */
public record FeedForwardBlock(Tensor norm, Tensor gate, Tensor up, Tensor down, float epsilon) {}
