package org.parallelcomp.api.backend;

import org.parallelcomp.api.cache.KvLayer;
import org.parallelcomp.api.cache.TokenSelection;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Tensor;

/** The operations on the key-value cache of a layer. */
public interface CacheOps {
  /**
   * Allocates an empty layer.
   *
   * @param capacities slots of each kv head, which may differ
   */
  KvLayer allocate(MemoryScope scope, DType dtype, int[] capacities, int headDim);

  /**
   * Appends tokens to every head. Only the slots of the new tokens are written.
   *
   * <pre>
   * keys, values [tokens, kvHeads, headDim]   keys after RoPE; may be views
   * positions    [tokens]  I32
   * </pre>
   *
   * @throws org.parallelcomp.api.error.InferenceException INTERNAL if a head has no room for them;
   *     then nothing has changed
   */
  void append(KvLayer layer, Tensor keys, Tensor values, Tensor positions);

  /**
   * Returns a new layer that holds the selected tokens and has not a slot more, in their old order
   * and with their old positions.
   *
   * @param scope where the new layer lives
   * @param source where the tokens are; not changed
   * @param fromToken the token of every head that the selection counts from
   * @param selection which tokens of {@code [fromToken, fromToken + selection.tokens())}
   * @throws org.parallelcomp.api.error.InferenceException INTERNAL if a head holds fewer tokens
   */
  KvLayer compact(MemoryScope scope, KvLayer source, int fromToken, TokenSelection selection);

  /**
   * Appends all tokens of another layer behind those of this one, head by head. Both have the same
   * type, heads and head size.
   *
   * @throws org.parallelcomp.api.error.InferenceException INTERNAL if they differ or a head has no
   *     room; then nothing has changed
   */
  void concatenate(KvLayer target, KvLayer source);

  /**
   * Rotates every key from its position to the place that it holds: the i-th token of each head
   * gets position {@code firstPosition + i}. A table that also stretches (cos² + sin² = s², as that
   * of YaRN, arXiv 2309.00071) has stretched the key once; it stays stretched once.
   *
   * @throws org.parallelcomp.api.error.InferenceException INTERNAL if a position is outside of the
   *     table; then nothing has changed
   */
  void rerotate(KvLayer layer, int firstPosition, Rope rope);
}
