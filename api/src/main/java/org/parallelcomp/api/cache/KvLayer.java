package org.parallelcomp.api.cache;

import java.util.Arrays;
import org.parallelcomp.api.tensor.Tensor;

/**
 * The key-value cache of one layer. Each kv head owns a run of slots and may hold its own number of
 * tokens (ragged), so a head that keeps less takes less memory; kv heads are never repeated.
 *
 * <pre>
 * keys      [slots, headDim]     after RoPE
 * values    [slots, headDim]
 * positions [slots]  I32         position at which each key was rotated
 * </pre>
 *
 * <p>Head h owns the slots {@code [firstSlot(h), firstSlot(h + 1))} and fills the first {@code
 * tokens(h)} of them. Only {@link org.parallelcomp.api.backend.CacheOps} changes the contents.
 */
public final class KvLayer {
  private final Tensor keys;
  private final Tensor values;
  private final Tensor positions;
  private final int[] firstSlot;
  private final int[] tokens;

  /**
   * Creates an empty layer over storage that a backend allocated.
   *
   * @param capacities how many slots each head owns; their sum is the extent of the tensors
   */
  public KvLayer(Tensor keys, Tensor values, Tensor positions, int[] capacities) {
    this.keys = keys;
    this.values = values;
    this.positions = positions;
    this.firstSlot = new int[capacities.length + 1];
    for (int h = 0; h < capacities.length; h++) {
      firstSlot[h + 1] = Math.addExact(firstSlot[h], capacities[h]);
    }
    this.tokens = new int[capacities.length];
    if (keys.shape().dim(0) != firstSlot[capacities.length]
        || !keys.shape().equals(values.shape())
        || positions.shape().elements() != keys.shape().dim(0)) {
      throw new IllegalArgumentException(
          "keys "
              + keys.shape()
              + ", values "
              + values.shape()
              + ", positions "
              + positions.shape()
              + " do not fit the capacities "
              + Arrays.toString(capacities));
    }
  }

  /** Returns the keys, {@code [slots, headDim]}. */
  public Tensor keys() {
    return keys;
  }

  /** Returns the values, {@code [slots, headDim]}. */
  public Tensor values() {
    return values;
  }

  /** Returns the position of each key, I32 {@code [slots]}. */
  public Tensor positions() {
    return positions;
  }

  /** Returns the number of kv heads. */
  public int kvHeads() {
    return tokens.length;
  }

  /** Returns the numbers per key. */
  public int headDim() {
    return keys.shape().intDim(1);
  }

  /** Returns the first slot of a head; {@code firstSlot(kvHeads())} is the number of slots. */
  public int firstSlot(int kvHead) {
    return firstSlot[kvHead];
  }

  /** Returns how many tokens a head can hold. */
  public int capacity(int kvHead) {
    return firstSlot[kvHead + 1] - firstSlot[kvHead];
  }

  /** Returns how many tokens a head holds. */
  public int tokens(int kvHead) {
    return tokens[kvHead];
  }

  /** Returns how many tokens each head holds. */
  public int[] tokens() {
    return tokens.clone();
  }

  /** Returns the greatest number of tokens that any head holds. */
  public int maxTokens() {
    return Arrays.stream(tokens).max().orElse(0);
  }

  /** Returns the sum over the heads of the tokens that they hold. */
  public long headTokens() {
    return Arrays.stream(tokens).asLongStream().sum();
  }

  /** Returns the bytes that the kept keys and values take, without free slots. */
  public long keptBytes() {
    return headTokens() * (keys.dtype().bytes(headDim()) + values.dtype().bytes(headDim()));
  }

  /**
   * Sets how many tokens a head holds. Called by {@link org.parallelcomp.api.backend.CacheOps}
   * after writing, and by the engine to forget the newest tokens.
   */
  public void setTokens(int kvHead, int count) {
    if (count < 0 || count > capacity(kvHead)) {
      throw new IllegalArgumentException(
          "head " + kvHead + " has " + capacity(kvHead) + " slots, not " + count);
    }
    tokens[kvHead] = count;
  }
}
