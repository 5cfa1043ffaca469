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

  /** Returns how many of the queries from this one on, at most so many, are of the same row. */
  int sameRow(int query, int most) {
    return Math.min(most, group - query % group);
  }

  /** Copies queries of one row to an array. */
  void readQueries(int query, int count, float[] to, int at) {
    queries.read(firstRow + query / group, firstHead + query % group, count, to, at);
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

  /** Writes the outputs of queries of one row. */
  void writeOutputs(int query, int count, float[] from, int at) {
    out.write(firstRow + query / group, firstHead + query % group, count, from, at);
  }

  /** Writes the logarithm of a query's normaliser, where it is wanted. */
  void writeLogSumExp(int query, double logSum) {
    if (logSumExp != null) {
      logSumExp.set(Dequantize.LE_FLOAT, logSumByte(query), (float) logSum);
    }
  }
}
