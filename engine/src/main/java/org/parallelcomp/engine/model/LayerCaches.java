package org.parallelcomp.engine.model;

import java.util.List;
import org.jspecify.annotations.Nullable;
import org.parallelcomp.api.backend.AttendSequence;
import org.parallelcomp.api.cache.KvLayer;
import org.parallelcomp.api.tensor.Tensor;

/**
 * Where a sequence's keys and values go while it passes through the layers. Asked once per layer,
 * in order: {@link #open}, then attention, then {@link #close}.
 */
public interface LayerCaches {
  /**
   * What the attention of a layer saw; valid until {@link #close} returns.
   *
   * @param queries {@code [tokens, queryHeads, headDim]}
   * @param logSumExp {@code [queryHeads, tokens]}; undefined but for the sequence's last {@link
   *     #logSumExpRows} rows
   * @param sequence the sequence's rows in both, and its keys
   * @param scale of the products
   */
  record Attended(Tensor queries, Tensor logSumExp, AttendSequence sequence, float scale) {}

  /**
   * Returns the cache of a layer with what the sequence has passed so far; new keys are appended.
   */
  KvLayer open(int layer);

  /** The log-sum-exp of every row is looked at. */
  int ALL_ROWS = Integer.MAX_VALUE;

  /**
   * Returns of how many of the sequence's last rows {@link #close} looks at the log-sum-exp in a
   * layer; perhaps more than there are.
   */
  int logSumExpRows(int layer);

  /**
   * Returns how attention is weighed in a layer, or null for plain softmax, the default. There is
   * no log-sum-exp for {@link #close} where it is weighed.
   */
  default @Nullable ContextWeighting weighting(int layer) {
    return null;
  }

  /** Takes what the attention of a layer saw; here the cache may be cut to what shall stay. */
  void close(int layer, Attended attended);

  /** Returns caches that only grow: for decoding, and for prefill without eviction. */
  static LayerCaches growing(List<KvLayer> layers) {
    return new LayerCaches() {
      @Override
      public KvLayer open(int layer) {
        return layers.get(layer);
      }

      @Override
      public int logSumExpRows(int layer) {
        return 0;
      }

      @Override
      public void close(int layer, Attended attended) {}
    };
  }
}
