package org.parallelcomp.engine;

import java.util.BitSet;
import java.util.List;

/**
 * A pass {@code [prefix ; context ; query]} through all layers, as its last tokens saw it. The
 * arrays in it must not be changed.
 *
 * @param prefixTokens tokens of the prompt before the context
 * @param textTokens which token of the text each token of the context is, {@code [contextTokens]},
 *     ascending
 * @param queryTokens tokens of the prompt behind the context: the question and the words around it
 * @param layers what was seen in each layer
 */
public record PassTrace(
    int prefixTokens, int[] textTokens, int queryTokens, List<LayerTrace> layers) {
  public PassTrace {
    layers = List.copyOf(layers);
  }

  /** Returns the number of tokens of the context. */
  public int contextTokens() {
    return textTokens.length;
  }

  /**
   * One layer.
   *
   * @param windowTokens how many of the pass' last tokens were observed; 0 if none was
   * @param attention the attention probability that each key of the pass receives, on average over
   *     the observed tokens and over the query heads of a kv head, {@code [kvHeads][prefixTokens +
   *     contextTokens + queryTokens]}: each row sums to 1, and keys that were gone before the pass
   *     have 0. Without rows if nothing was observed, as where attention is not a plain softmax
   * @param keptByBudget per kv head the tokens of the context that scores and budget left
   * @param kept per kv head those that calibration left of them, which are what stayed
   */
  public record LayerTrace(
      int windowTokens, float[][] attention, List<BitSet> keptByBudget, List<BitSet> kept) {
    public LayerTrace {
      keptByBudget = List.copyOf(keptByBudget);
      kept = List.copyOf(kept);
    }

    /** Returns whether {@link #attention} was observed. */
    public boolean observed() {
      return windowTokens > 0;
    }
  }
}
