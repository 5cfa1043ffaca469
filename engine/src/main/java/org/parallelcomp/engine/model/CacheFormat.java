package org.parallelcomp.engine.model;

import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.engine.load.ModelConfig;

/**
 * What keys and values take: the backend's type and the model's shape.
 *
 * @param dtype the type of keys and values
 * @param config the model
 */
public record CacheFormat(DType dtype, ModelConfig config) {
  /** Returns the bytes of key and value of one token in one kv head of one layer. */
  public long headTokenBytes() {
    return 2 * dtype.bytes(config.headDim());
  }

  /** Returns the bytes of keys and values of so many tokens in all heads and layers. */
  public long bytes(long tokens) {
    return tokens * headTokenBytes() * config.kvHeads() * config.layers();
  }
}
