package org.parallelcomp.backend.host;

import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.parallelcomp.api.evidence.HeadReduction;
import org.parallelcomp.api.tensor.Tensor;

/** What is put together from parts: attention over parts of the keys, mass of a group's heads. */
public final class AttentionParts {
  private AttentionParts() {}

  /**
   * Merges partial attentions of some tokens: each part weighs as much as its share of the sum of
   * exponentials, {@code exp(logSumExp_p - logSumExp)}. A row that no part has keys for is zero,
   * and its log-sum-exp negative infinity.
   *
   * <pre>
   * out, partialOuts              [tokens, queryHeads, headDim]
   * logSumExp, partialLogSumExps  [queryHeads, tokens]
   * </pre>
   *
   * @param fromToken the first of the tokens
   * @param toToken the end of the tokens
   */
  public static void merge(
      HostMemory memory,
      Tensor out,
      @Nullable Tensor logSumExp,
      List<Tensor> partialOuts,
      List<Tensor> partialLogSumExps,
      int fromToken,
      int toToken) {
    Rows to = memory.floats(out);
    Rows toSums = logSumExp == null ? null : memory.floats(logSumExp);
    List<Rows> from = partialOuts.stream().map(memory::floats).toList();
    List<Rows> fromSums = partialLogSumExps.stream().map(memory::floats).toList();
    int queryHeads = out.shape().intDim(1);
    float[] part = new float[to.length()];
    float[] merged = new float[to.length()];
    float[] sums = new float[from.size()];
    for (int token = fromToken; token < toToken; token++) {
      for (int head = 0; head < queryHeads; head++) {
        for (int p = 0; p < sums.length; p++) {
          fromSums.get(p).readPart(head, token, 1, sums, p);
        }
        long row = (long) token * queryHeads + head;
        sums[0] = mergeRow(from, row, sums, part, merged);
        to.write(row, merged, 0);
        if (toSums != null) {
          toSums.writePart(head, token, 1, sums, 0);
        }
      }
    }
  }

  /** Merges one row of the parts, each with its log-sum-exp; returns that of the whole. */
  private static float mergeRow(
      List<Rows> parts, long row, float[] sums, float[] part, float[] merged) {
    Arrays.fill(merged, 0);
    float max = Float.NEGATIVE_INFINITY;
    for (float sum : sums) {
      max = Math.max(max, sum);
    }
    if (max == Float.NEGATIVE_INFINITY) {
      return max;
    }
    double total = 0;
    for (float sum : sums) {
      total += Math.exp((double) sum - max);
    }
    for (int p = 0; p < sums.length; p++) {
      // A part without keys has the weight zero; what it holds does not matter.
      if (sums[p] != Float.NEGATIVE_INFINITY) {
        float weight = (float) (Math.exp((double) sums[p] - max) / total);
        parts.get(p).read(row, part, 0);
        for (int i = 0; i < merged.length; i++) {
          merged[i] += weight * part[i];
        }
      }
    }
    return (float) (max + Math.log(total));
  }

  /**
   * Reduces the masses of a group's heads to the first of them.
   *
   * @param sums {@code [group][stride]}, of which the first {@code keys} of each head count
   */
  public static void reduce(
      float[] sums, int group, int stride, int keys, HeadReduction reduction) {
    for (int head = 1; head < group; head++) {
      int from = head * stride;
      for (int k = 0; k < keys; k++) {
        sums[k] =
            switch (reduction) {
              case MAX -> Math.max(sums[k], sums[from + k]);
              case MIN -> Math.min(sums[k], sums[from + k]);
              case MEAN, NONE -> sums[k] + sums[from + k];
            };
      }
    }
    if (reduction == HeadReduction.MEAN) {
      for (int k = 0; k < keys; k++) {
        sums[k] /= group;
      }
    }
  }
}
