package org.parallelcomp.api.cache;

import java.util.Arrays;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.tensor.Shape;
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

  /**
   * Refuses tensors that {@link org.parallelcomp.api.backend.CacheOps#append} cannot append here.
   *
   * @throws InferenceException INTERNAL where shapes differ or a head has too few free slots
   */
  public void requireAppendable(Tensor newKeys, Tensor newValues, Tensor newPositions) {
    int added = newKeys.shape().intDim(0);
    Shape expected = Shape.of(added, kvHeads(), headDim());
    if (!newKeys.shape().equals(expected)
        || !newValues.shape().equals(expected)
        || newPositions.shape().elements() != added) {
      throw new InferenceException(
          ErrorCode.INTERNAL,
          "Keys "
              + newKeys.shape()
              + ", values "
              + newValues.shape()
              + " and positions "
              + newPositions.shape()
              + " cannot be appended to "
              + kvHeads()
              + " kv heads of "
              + headDim()
              + ".");
    }
    for (int head = 0; head < kvHeads(); head++) {
      requireRoom(head, added);
    }
  }

  /**
   * Refuses a layer that {@link org.parallelcomp.api.backend.CacheOps#concatenate} cannot append.
   *
   * @throws InferenceException INTERNAL where the layers differ or a head has too few free slots
   */
  public void requireConcatenable(KvLayer source) {
    if (kvHeads() != source.kvHeads()
        || headDim() != source.headDim()
        || keys.dtype() != source.keys.dtype()) {
      throw new InferenceException(
          ErrorCode.INTERNAL,
          "Layers of "
              + keys.dtype()
              + keys.shape()
              + " and "
              + source.keys.dtype()
              + source.keys.shape()
              + " cannot be concatenated.");
    }
    for (int head = 0; head < kvHeads(); head++) {
      requireRoom(head, source.tokens(head));
    }
  }

  /**
   * Refuses a selection whose tokens the heads do not hold; where the kept ones stand is not looked
   * at.
   *
   * @param fromToken the token of every head that the selection counts from
   * @throws InferenceException INTERNAL
   */
  public void requireSelectable(int fromToken, TokenSelection selection) {
    if (selection.kvHeads() != kvHeads()) {
      throw new InferenceException(
          ErrorCode.INTERNAL,
          "A selection of "
              + selection.kvHeads()
              + " heads cannot compact a layer of "
              + kvHeads()
              + ".");
    }
    for (int head = 0; head < kvHeads(); head++) {
      if (fromToken < 0 || selection.tokens() > tokens[head] - fromToken) {
        throw new InferenceException(
            ErrorCode.INTERNAL,
            "Head "
                + head
                + " of a cache holds "
                + tokens[head]
                + " tokens; a selection asks for "
                + selection.tokens()
                + " from token "
                + fromToken
                + " on.");
      }
    }
  }

  private void requireRoom(int kvHead, int added) {
    if (added > capacity(kvHead) - tokens[kvHead]) {
      throw new InferenceException(
          ErrorCode.INTERNAL,
          "Head "
              + kvHead
              + " of a cache holds "
              + tokens[kvHead]
              + " of "
              + capacity(kvHead)
              + " tokens; there is no room for "
              + added
              + " more.");
    }
  }
}
