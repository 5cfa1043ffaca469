package org.parallelcomp.engine.model;

import java.util.List;

/**
 * How attention to a merged context is weighed where that is not plain softmax over everything: as
 * partial attentions whose log-sum-exps are changed before they are merged.
 */
public sealed interface ContextWeighting {
  /**
   * A run of each head's tokens.
   *
   * @param fromToken first token of each kv head
   * @param toToken end (exclusive) of the tokens of each kv head
   */
  record Range(int[] fromToken, int[] toToken) {}

  /**
   * As APE (arXiv 2502.05431): inside the context with products divided by a temperature, the
   * context as a whole with its log-sum-exp multiplied by {@code scale * temperature}.
   *
   * @param context the kept chunks' tokens
   */
  record Tempered(Range context, double temperature, double scale) implements ContextWeighting {}

  /**
   * As ACT (arXiv 2406.15765): the share s that the sinks draw of a row's attention becomes {@code
   * beta * s}, that of all other keys {@code 1 - beta * s}.
   *
   * @param sinks the sinks of each kept chunk, in order and apart
   */
  record LighterSinks(List<Range> sinks, double beta) implements ContextWeighting {}
}
