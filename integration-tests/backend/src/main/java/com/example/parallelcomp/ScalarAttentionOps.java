package com.example.parallelcomp;

import static com.example.parallelcomp.ScalarTensor.rows;
import static com.example.parallelcomp.ScalarTensor.write;
import static com.example.parallelcomp.Vectors.dot;
import static com.example.parallelcomp.Vectors.logSumExp;

import java.util.Arrays;
import java.util.List;
import java.util.stream.DoubleStream;
import org.parallelcomp.api.backend.Arguments;
import org.parallelcomp.api.backend.AttendSequence;
import org.parallelcomp.api.backend.AttentionOps;
import org.parallelcomp.api.cache.KvLayer;
import org.parallelcomp.api.evidence.HeadReduction;
import org.parallelcomp.api.tensor.Tensor;

/** Attention: one query of one head after another. */
final class ScalarAttentionOps implements AttentionOps {
  /** s_j = scale · q · k_j for the keys in the slots {@code [from, to)}. */
  private static double[] scores(double[] q, double[][] k, int from, int to, float scale) {
    double[] s = new double[Math.max(0, to - from)];
    for (int j = 0; j < s.length; j++) {
      s[j] = scale * dot(q, k[from + j]);
    }
    return s;
  }

  /** y = Σ p_j v_j, where p_j = exp(s_j - lse) and lse = log Σ exp s_j. */
  @Override
  public void attend(
      Tensor out, Tensor logSumExp, Tensor queries, float scale, List<AttendSequence> sequences) {
    Arguments.requireAttend(out, logSumExp, queries, sequences);
    int tokens = queries.shape().intDim(0);
    int queryHeads = queries.shape().intDim(1);
    double[][] q = rows(queries);
    double[][] y = new double[tokens * queryHeads][queries.shape().intDim(2)];
    double[][] lse = new double[queryHeads][tokens];
    for (AttendSequence sequence : sequences) {
      KvLayer layer = sequence.layer();
      double[][] k = rows(layer.keys());
      double[][] v = rows(layer.values());
      for (int row = 0; row < sequence.rows(); row++) {
        int t = sequence.firstRow() + row;
        for (int g = 0; g < queryHeads; g++) {
          int h = g / (queryHeads / layer.kvHeads());
          int from = layer.firstSlot(h) + sequence.fromToken()[h];
          int to = layer.firstSlot(h) + sequence.visibleEnd(h, row);
          double[] s = scores(q[t * queryHeads + g], k, from, to, scale);
          lse[g][t] = logSumExp(s);
          for (int j = 0; j < s.length; j++) {
            addTo(y[t * queryHeads + g], Math.exp(s[j] - lse[g][t]), v[from + j]);
          }
        }
      }
    }
    write(out, y);
    if (logSumExp != null) {
      write(logSumExp, lse);
    }
  }

  /** y = y + p x. */
  private static void addTo(double[] y, double p, double[] x) {
    for (int d = 0; d < y.length; d++) {
      y[d] += p * x[d];
    }
  }

  /** y = Σ w_p y_p, where w_p = exp(lse_p - lse) and lse = log Σ exp lse_p. */
  @Override
  public void mergePartial(
      Tensor out, Tensor logSumExp, List<Tensor> partialOuts, List<Tensor> partialLogSumExps) {
    Arguments.requireMergePartial(out, logSumExp, partialOuts, partialLogSumExps);
    int tokens = out.shape().intDim(0);
    int queryHeads = out.shape().intDim(1);
    List<double[][]> ys = partialOuts.stream().map(ScalarTensor::rows).toList();
    List<double[][]> lses = partialLogSumExps.stream().map(ScalarTensor::rows).toList();
    double[][] y = new double[tokens * queryHeads][out.shape().intDim(2)];
    double[][] lse = new double[queryHeads][tokens];
    for (int t = 0; t < tokens; t++) {
      for (int g = 0; g < queryHeads; g++) {
        double[] ofParts = new double[ys.size()];
        for (int p = 0; p < ofParts.length; p++) {
          ofParts[p] = lses.get(p)[g][t];
        }
        lse[g][t] = logSumExp(ofParts);
        for (int p = 0; p < ofParts.length; p++) {
          // A part over nothing holds anything, perhaps NaN, which would survive a weight of 0.
          if (ofParts[p] != Double.NEGATIVE_INFINITY) {
            int at = t * queryHeads + g;
            addTo(y[at], Math.exp(ofParts[p] - lse[g][t]), ys.get(p)[at]);
          }
        }
      }
    }
    write(out, y);
    if (logSumExp != null) {
      write(logSumExp, lse);
    }
  }

  /** m_j = Σ p_ij over the queries i of the window, then reduced over the heads of a group. */
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
    Arguments.requireAttentionMass(
        mass, queries, logSumExp, sequence, windowQueries, fromToken, toToken, reduction);
    int queryHeads = queries.shape().intDim(1);
    KvLayer layer = sequence.layer();
    int group = queryHeads / layer.kvHeads();
    double[][] q = rows(queries);
    double[][] k = rows(layer.keys());
    double[][] lse = rows(logSumExp);
    double[][] m = new double[queryHeads][toToken - fromToken];
    for (int g = 0; g < queryHeads; g++) {
      int h = g / group;
      for (int row = sequence.rows() - windowQueries; row < sequence.rows(); row++) {
        int t = sequence.firstRow() + row;
        int from = Math.max(fromToken, sequence.fromToken()[h]);
        int to = Math.min(toToken, sequence.visibleEnd(h, row));
        int slot = layer.firstSlot(h);
        double[] s = scores(q[t * queryHeads + g], k, slot + from, slot + to, scale);
        for (int j = 0; j < s.length; j++) {
          m[g][from - fromToken + j] += Math.exp(s[j] - lse[g][t]);
        }
      }
    }
    write(mass, reduction == HeadReduction.NONE ? m : reduced(m, group, reduction));
  }

  private static double[][] reduced(double[][] m, int group, HeadReduction reduction) {
    double[][] reduced = new double[m.length / group][m[0].length];
    for (int h = 0; h < reduced.length; h++) {
      double[][] heads = Arrays.copyOfRange(m, h * group, (h + 1) * group);
      for (int j = 0; j < reduced[h].length; j++) {
        int key = j;
        DoubleStream column = Arrays.stream(heads).mapToDouble(head -> head[key]);
        reduced[h][j] =
            switch (reduction) {
              case MEAN, NONE -> column.sum() / group;
              case MAX -> column.max().orElseThrow();
              case MIN -> column.min().orElseThrow();
            };
      }
    }
    return reduced;
  }
}
