package org.parallelcomp.api.cache;

import java.util.Arrays;
import java.util.Optional;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Tensor;

/**
 * Which tokens of a context stay in the cache of one layer, per kv head. Positions count from the
 * context's first token. Heads may keep different numbers of tokens.
 */
public final class TokenSelection {
  private final int tokens;
  private final int[] keptTokens;
  private final @Nullable Tensor indices;

  private TokenSelection(int tokens, int[] keptTokens, @Nullable Tensor indices) {
    this.tokens = tokens;
    this.keptTokens = keptTokens;
    this.indices = indices;
  }

  /** Returns the selection that keeps every one of {@code tokens} tokens in every head. */
  public static TokenSelection everything(int kvHeads, int tokens) {
    return new TokenSelection(tokens, IntStream.range(0, kvHeads).map(h -> tokens).toArray(), null);
  }

  /**
   * Returns a selection by position.
   *
   * @param tokens how many tokens there are to choose from
   * @param keptTokens how many each kv head keeps
   * @param indices I32 {@code [sum of keptTokens]}: the heads' positions one after another,
   *     ascending and unique within a head
   */
  public static TokenSelection of(int tokens, int[] keptTokens, Tensor indices) {
    if (indices.dtype() != DType.I32
        || indices.shape().elements() != Arrays.stream(keptTokens).asLongStream().sum()) {
      throw new IllegalArgumentException(
          "indices "
              + indices.dtype()
              + indices.shape()
              + " do not fit the kept tokens "
              + Arrays.toString(keptTokens));
    }
    return new TokenSelection(tokens, keptTokens.clone(), indices);
  }

  /**
   * Returns a selection in which every head keeps as many tokens.
   *
   * @param tokens how many tokens there are to choose from
   * @param indices I32 {@code [kvHeads, kept]}, contiguous
   */
  public static TokenSelection uniform(int tokens, Tensor indices) {
    int kept = indices.shape().intDim(1);
    int[] keptTokens = IntStream.range(0, indices.shape().intDim(0)).map(h -> kept).toArray();
    return of(tokens, keptTokens, indices);
  }

  /** Returns how many tokens there were to choose from. */
  public int tokens() {
    return tokens;
  }

  /** Returns the number of heads. */
  public int kvHeads() {
    return keptTokens.length;
  }

  /** Returns how many tokens a head keeps. */
  public int keptTokens(int kvHead) {
    return keptTokens[kvHead];
  }

  /** Returns how many tokens each head keeps. */
  public int[] keptTokens() {
    return keptTokens.clone();
  }

  /** Returns whether every token stays in every head. */
  public boolean keepsEverything() {
    return Arrays.stream(keptTokens).allMatch(kept -> kept == tokens);
  }

  /**
   * Returns the kept positions, I32 {@code [sum of keptTokens]}, or empty if the selection was made
   * by {@link #everything}.
   */
  public Optional<Tensor> indices() {
    return Optional.ofNullable(indices);
  }
}
