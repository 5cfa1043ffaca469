package org.parallelcomp.api.policy;

/**
 * Attention sinks with less weight, as ACT (arXiv 2406.15765) calibrates attention without
 * evicting: where the sinks of the kept chunks draw the share s of a row's attention, they shall
 * draw {@code beta * s}, and all other keys {@code 1 - beta * s}, in proportion to what they drew
 * before.
 *
 * @param sinkTokens how many tokens at the beginning of each kept chunk are its sinks, at least 1
 * @param beta what becomes of their share, in [0, 1]; 1 changes nothing
 */
public record SinkReweighting(int sinkTokens, double beta) {
  public SinkReweighting {
    if (sinkTokens < 1 || !(beta >= 0 && beta <= 1)) {
      throw new IllegalArgumentException("cannot weigh " + sinkTokens + " sinks by " + beta);
    }
  }
}
