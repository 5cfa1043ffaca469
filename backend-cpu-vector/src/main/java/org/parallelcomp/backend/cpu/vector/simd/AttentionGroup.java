package org.parallelcomp.backend.cpu.vector.simd;

import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/**
 * The attention of the query heads that share one kv head, for the rows of one sequence. A query is
 * numbered {@code row * group + head}, so that neighbours see almost the same keys.
 *
 * @param out output, as queries
 * @param logSumExp memory of the log-sum-exp, or null
 * @param logSumExpOffset its byte of head 0, row 0
 * @param logSumExpHeadStride its bytes from head to head; rows lie without gaps
 * @param queries the queries
 * @param firstHead first query head of the group
 * @param group number of query heads
 * @param firstRow first row of the sequence
 * @param rows number of rows
 * @param keyValues the kv head
 * @param from first visible key
 * @param to end (exclusive) of the visible keys
 * @param causal whether row i does not see the last {@code rows - i - 1} of them
 * @param scale factor of the products
 */
public record AttentionGroup(
    Heads out,
    @Nullable MemorySegment logSumExp,
    long logSumExpOffset,
    long logSumExpHeadStride,
    Heads queries,
    int firstHead,
    int group,
    int firstRow,
    int rows,
    KeyValues keyValues,
    int from,
    int to,
    boolean causal,
    float scale) {

  /** Returns the number of queries. */
  int queryCount() {
    return rows * group;
  }

  /** Returns the end (exclusive) of the keys that a query sees. */
  int limit(int query) {
    return causal ? to - rows + query / group + 1 : to;
  }

  /** Copies a query to an array. */
  void readQuery(int query, float[] to, int at) {
    queries.read(firstRow + query / group, firstHead + query % group, to, at);
  }

  /** Returns the log-sum-exp of a query, which must have been attended with it. */
  float readLogSumExp(int query) {
    if (logSumExp == null) {
      throw new IllegalStateException("no log-sum-exp");
    }
    return logSumExp.get(Dequantize.LE_FLOAT, logSumByte(query));
  }

  private long logSumByte(int query) {
    int head = firstHead + query % group;
    return logSumExpOffset + head * logSumExpHeadStride + 4L * (firstRow + query / group);
  }

  /** Writes the result of a query: the output, and the logarithm of its normaliser. */
  void writeResult(int query, float[] from, int at, double logSum) {
    int row = firstRow + query / group;
    int head = firstHead + query % group;
    out.write(row, head, from, at);
    if (logSumExp != null) {
      logSumExp.set(Dequantize.LE_FLOAT, logSumByte(query), (float) logSum);
    }
  }
}
