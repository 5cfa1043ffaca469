package org.parallelcomp.api.policy;

/**
 * For what a budget is asked.
 *
 * @param layer the layer, from 0
 * @param layers the number of layers
 * @param kvHeads kv heads of the layer
 * @param contextTokens tokens to choose from
 * @param tokenBytes bytes that one token takes in one kv head (key and value)
 * @param keptChunks the most chunks that will be kept
 */
public record BudgetRequest(
    int layer, int layers, int kvHeads, int contextTokens, long tokenBytes, int keptChunks) {}
