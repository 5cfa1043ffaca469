package org.parallelcomp.conformance.reference;

import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.parallelcomp.api.backend.Arguments;
import org.parallelcomp.api.backend.AttendSequence;
import org.parallelcomp.api.backend.AttentionOps;
import org.parallelcomp.api.cache.KvLayer;
import org.parallelcomp.api.evidence.HeadReduction;
import org.parallelcomp.api.tensor.Tensor;

/** Attention, one query of one head after another. */
final class ReferenceAttentionOps implements AttentionOps {
  /** What one query head of one row sees: {@code scale q·k_j} for each visible key of its head. */
  private static double[] products(
      double[] queries, int query, double[] keys, int firstKey, int count, int dim, float scale) {
    double[] products = new double[count];
    for (int j = 0; j < count; j++) {
      double dot = 0;
      for (int d = 0; d < dim; d++) {
        dot += queries[query + d] * keys[(firstKey + j) * dim + d];
      }
      products[j] = scale * dot;
    }
    return products;
  }

  @Override
  public void attend(
      Tensor out,
      @Nullable Tensor logSumExp,
      Tensor queries,
      float scale,
      List<AttendSequence> sequences) {
    int tokens = queries.shape().intDim(0);
    int queryHeads = queries.shape().intDim(1);
    int dim = queries.shape().intDim(2);
    Arguments.requireAttend(out, logSumExp, queries, sequences);
    double[] q = ReferenceTensor.read(queries);
    double[] y = new double[q.length];
    double[] lse = new double[queryHeads * tokens];
    for (AttendSequence sequence : sequences) {
      KvLayer layer = sequence.layer();
      double[] k = ReferenceTensor.read(layer.keys());
      double[] v = ReferenceTensor.read(layer.values());
      for (int row = 0; row < sequence.rows(); row++) {
        int token = sequence.firstRow() + row;
        for (int g = 0; g < queryHeads; g++) {
          int h = g / (queryHeads / layer.kvHeads());
          int from = sequence.fromToken()[h];
          int firstKey = layer.firstSlot(h) + from;
          int count = sequence.visibleEnd(h, row) - from;
          int at = (token * queryHeads + g) * dim;
          double[] s = products(q, at, k, firstKey, count, dim, scale);
          double max = maximum(s);
          double sum = Arrays.stream(s).map(x -> Math.exp(x - max)).sum();
          lse[g * tokens + token] = count == 0 ? Double.NEGATIVE_INFINITY : max + Math.log(sum);
          for (int j = 0; j < count; j++) {
            double p = Math.exp(s[j] - max) / sum;
            for (int d = 0; d < dim; d++) {
              y[at + d] += p * v[(firstKey + j) * dim + d];
            }
          }
        }
      }
    }
    ReferenceTensor.write(out, y);
    if (logSumExp != null) {
      ReferenceTensor.write(logSumExp, lse);
    }
  }

  private static double maximum(double[] values) {
    double max = Double.NEGATIVE_INFINITY;
    for (double value : values) {
      max = Math.max(max, value);
    }
    return max;
  }

  @Override
  public void mergePartial(
      Tensor out,
      @Nullable Tensor logSumExp,
      List<Tensor> partialOuts,
      List<Tensor> partialLogSumExps) {
    int tokens = out.shape().intDim(0);
    int queryHeads = out.shape().intDim(1);
    int dim = out.shape().intDim(2);
    Arguments.requireMergePartial(out, logSumExp, partialOuts, partialLogSumExps);
    List<double[]> outs = partialOuts.stream().map(ReferenceTensor::read).toList();
    List<double[]> lses = partialLogSumExps.stream().map(ReferenceTensor::read).toList();
    double[] y = new double[tokens * queryHeads * dim];
    double[] lse = new double[queryHeads * tokens];
    for (int i = 0; i < lse.length; i++) {
      int part = i;
      double[] partial = lses.stream().mapToDouble(p -> p[part]).toArray();
      double max = maximum(partial);
      if (max == Double.NEGATIVE_INFINITY) {
        lse[i] = max;
        continue;
      }
      double sum = Arrays.stream(partial).map(x -> Math.exp(x - max)).sum();
      lse[i] = max + Math.log(sum);
      int at = (i % tokens * queryHeads + i / tokens) * dim;
      for (int p = 0; p < partial.length; p++) {
        if (partial[p] == Double.NEGATIVE_INFINITY) {
          // What a part over nothing holds does not matter, even if it is NaN.
          continue;
        }
        double weight = Math.exp(partial[p] - lse[i]);
        for (int d = 0; d < dim; d++) {
          y[at + d] += weight * outs.get(p)[at + d];
        }
      }
    }
    ReferenceTensor.write(out, y);
    if (logSumExp != null) {
      ReferenceTensor.write(logSumExp, lse);
    }
  }

  @Override
  public void attentionMass(
      Tensor mass,
      Tensor queries,
      Tensor logSumExp,
      float scale,
      AttendSequence sequence,
      int windowQueries,
      int fromToken,
      int toToken,
      HeadReduction reduction) {
    int tokens = queries.shape().intDim(0);
    int queryHeads = queries.shape().intDim(1);
    int dim = queries.shape().intDim(2);
    KvLayer layer = sequence.layer();
    int group = queryHeads / layer.kvHeads();
    int measured = toToken - fromToken;
    int reducedHeads = reduction == HeadReduction.NONE ? queryHeads : layer.kvHeads();
    Arguments.requireAttentionMass(
        mass, queries, logSumExp, sequence, windowQueries, fromToken, toToken, reduction);
    double[] q = ReferenceTensor.read(queries);
    double[] lse = ReferenceTensor.read(logSumExp);
    double[] k = ReferenceTensor.read(layer.keys());
    double[][] perHead = new double[queryHeads][measured];
    for (int g = 0; g < queryHeads; g++) {
      int h = g / group;
      for (int row = sequence.rows() - windowQueries; row < sequence.rows(); row++) {
        int token = sequence.firstRow() + row;
        int from = Math.max(fromToken, sequence.fromToken()[h]);
        int to = Math.min(toToken, sequence.visibleEnd(h, row));
        int at = (token * queryHeads + g) * dim;
        int count = Math.max(0, to - from);
        double[] s = products(q, at, k, layer.firstSlot(h) + from, count, dim, scale);
        for (int j = 0; j < count; j++) {
          perHead[g][from - fromToken + j] += Math.exp(s[j] - lse[g * tokens + token]);
        }
      }
    }
    double[] result = new double[reducedHeads * measured];
    for (int i = 0; i < result.length; i++) {
      int row = i / measured;
      int key = i % measured;
      result[i] =
          reduction == HeadReduction.NONE
              ? perHead[row][key]
              : reduced(perHead, row * group, group, key, reduction);
    }
    ReferenceTensor.write(mass, result);
  }

  private static double reduced(
      double[][] perHead, int firstHead, int heads, int key, HeadReduction reduction) {
    double value = perHead[firstHead][key];
    for (int g = firstHead + 1; g < firstHead + heads; g++) {
      double next = perHead[g][key];
      value =
          switch (reduction) {
            case MAX -> Math.max(value, next);
            case MIN -> Math.min(value, next);
            default -> value + next;
          };
    }
    return reduction == HeadReduction.MEAN ? value / heads : value;
  }
}
