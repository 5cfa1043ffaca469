package org.parallelcomp.api.backend;

import java.util.Arrays;
import org.parallelcomp.api.cache.KvLayer;

/**
 * One sequence of a ragged batch: which rows of the queries belong to it, and which keys they see.
 *
 * @param firstRow the sequence's first row in the query tensor
 * @param rows how many rows it has
 * @param layer the cache that holds its keys and values
 * @param fromToken first visible token of each kv head
 * @param toToken end (exclusive) of the visible tokens of each kv head
 * @param causal if true, the newest {@code rows} visible tokens are the rows' own: row i does not
 *     see those of the later rows, so it sees {@code [fromToken, toToken - rows + i + 1)}
 */
public record AttendSequence(
    int firstRow, int rows, KvLayer layer, int[] fromToken, int[] toToken, boolean causal) {
  public AttendSequence {
    for (int h = 0; h < layer.kvHeads(); h++) {
      if (fromToken[h] < 0
          || toToken[h] > layer.tokens(h)
          || toToken[h] - fromToken[h] < (causal ? rows : 0)) {
        throw new IllegalArgumentException(
            "head "
                + h
                + " has "
                + layer.tokens(h)
                + " tokens; cannot show "
                + rows
                + " rows ["
                + fromToken[h]
                + ", "
                + toToken[h]
                + ")");
      }
    }
  }

  /** Returns the end (exclusive) of the tokens that one of the rows sees in a kv head. */
  public int visibleEnd(int kvHead, int row) {
    return causal ? toToken[kvHead] - rows + row + 1 : toToken[kvHead];
  }

  /** Returns the sequence whose rows were appended to the layer last and see all that is in it. */
  public static AttendSequence causal(int firstRow, int rows, KvLayer layer) {
    return new AttendSequence(
        firstRow, rows, layer, new int[layer.kvHeads()], layer.tokens(), true);
  }

  /** Returns the sequence whose rows all see the tokens {@code [from, to)} of every head. */
  public static AttendSequence over(int firstRow, int rows, KvLayer layer, int from, int to) {
    int[] fromToken = new int[layer.kvHeads()];
    int[] toToken = new int[layer.kvHeads()];
    Arrays.fill(fromToken, from);
    Arrays.fill(toToken, to);
    return new AttendSequence(firstRow, rows, layer, fromToken, toToken, false);
  }
}
