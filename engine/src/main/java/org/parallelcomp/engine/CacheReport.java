package org.parallelcomp.engine;

import java.util.List;

/**
 * What became of the keys and values.
 *
 * @param compression whether tokens were evicted, and if not, why
 * @param layers what each layer held of prompt prefix and kept chunks when the answer began
 * @param finalBytes keys and values that were held when the answer was complete, question and
 *     answer included
 * @param decodingCuts how often the caches were cut while the answer grew
 */
public record CacheReport(
    Compression compression, List<Layer> layers, long finalBytes, int decodingCuts) {
  public CacheReport {
    layers = List.copyOf(layers);
  }

  /** Whether tokens of kept chunks were evicted. */
  public enum Compression {
    /** The plan's budget keeps everything. */
    NOT_ASKED,
    /** Some tokens were evicted. */
    APPLIED,
    /** The plan asks for it, but nothing was evicted: its budget allows all that there is. */
    NOTHING_TO_EVICT,
    /**
     * The plan asks for it and would cut other chunks of the text, but those that were kept are
     * short: they have no more than it allows.
     */
    SHORT_CHUNKS,
    /** The plan asks for it, but its merge reads the kept chunks whole; a warning says so. */
    NOT_APPLIED
  }

  /**
   * One layer.
   *
   * @param keptTokens how many tokens each kv head held
   * @param keptBytes the bytes that their keys and values took
   */
  public record Layer(List<Integer> keptTokens, long keptBytes) {
    public Layer {
      keptTokens = List.copyOf(keptTokens);
    }
  }
}
