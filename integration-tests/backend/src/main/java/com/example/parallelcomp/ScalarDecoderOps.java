package com.example.parallelcomp;

import static com.example.parallelcomp.ScalarTensor.integers;
import static com.example.parallelcomp.ScalarTensor.rows;
import static com.example.parallelcomp.ScalarTensor.write;
import static com.example.parallelcomp.Vectors.dot;
import static com.example.parallelcomp.Vectors.logSumExp;

import org.parallelcomp.api.backend.Arguments;
import org.parallelcomp.api.backend.DecoderOps;
import org.parallelcomp.api.backend.Rope;
import org.parallelcomp.api.tensor.Tensor;

/** The parts of a decoder layer. The fused blocks are what the interface composes of them. */
final class ScalarDecoderOps implements DecoderOps {
  /** y_t = table_id(t). */
  @Override
  public void embed(Tensor out, Tensor table, Tensor tokenIds) {
    Arguments.requireEmbed(out, table, tokenIds);
    Elements.requireWeightType(table.dtype());
    int[] ids = integers(tokenIds);
    double[][] y = new double[ids.length][];
    for (int t = 0; t < y.length; t++) {
      y[t] = rows(table.slice(0, ids[t], ids[t] + 1))[0];
    }
    write(out, y);
  }

  /** y_tj = x_t · w_j + b_j. */
  @Override
  public void linear(Tensor out, Tensor weight, Tensor bias, Tensor in) {
    Arguments.requireLinear(out, weight, bias, in);
    Elements.requireWeightType(weight.dtype());
    double[][] x = rows(in);
    double[][] w = rows(weight);
    double[] b = bias == null ? new double[w.length] : rows(bias)[0];
    double[][] y = new double[x.length][w.length];
    for (int t = 0; t < x.length; t++) {
      for (int j = 0; j < w.length; j++) {
        y[t][j] = dot(x[t], w[j]) + b[j];
      }
    }
    write(out, y);
  }

  /** y_i = x_i / √(mean(x²) + ε) · w_i. */
  @Override
  public void rmsNorm(Tensor out, Tensor in, Tensor weight, float epsilon) {
    Arguments.requireRmsNorm(out, in, weight);
    double[][] y = rows(in);
    double[] w = rows(weight)[0];
    for (double[] row : y) {
      double root = Math.sqrt(dot(row, row) / row.length + epsilon);
      for (int i = 0; i < row.length; i++) {
        row[i] = row[i] / root * w[i];
      }
    }
    write(out, y);
  }

  /** Each head of token t turns to the position of t. */
  @Override
  public void rope(Tensor inOut, Tensor positions, Rope rope) {
    Arguments.requireRope(inOut, positions, rope);
    double[][] y = rows(inOut);
    int[] at = integers(positions);
    int heads = inOut.shape().intDim(1);
    var rotation = new Rotation(rope);
    for (int row = 0; row < y.length; row++) {
      rotation.turn(y[row], at[row / heads]);
    }
    write(inOut, y);
  }

  /** y_i = g_i / (1 + exp(-g_i)) · u_i. */
  @Override
  public void swiGlu(Tensor out, Tensor gate, Tensor up) {
    Arguments.requireSwiGlu(out, gate, up);
    double[][] g = rows(gate);
    double[][] u = rows(up);
    double[][] y = new double[g.length][gate.shape().intDim(-1)];
    for (int t = 0; t < y.length; t++) {
      for (int i = 0; i < y[t].length; i++) {
        y[t][i] = g[t][i] / (1 + Math.exp(-g[t][i])) * u[t][i];
      }
    }
    write(out, y);
  }

  /** y_i = y_i + x_i. */
  @Override
  public void add(Tensor inOut, Tensor term) {
    Arguments.requireAdd(inOut, term);
    double[][] y = rows(inOut);
    double[][] x = rows(term);
    for (int t = 0; t < y.length; t++) {
      for (int i = 0; i < y[t].length; i++) {
        y[t][i] += x[t][i];
      }
    }
    write(inOut, y);
  }

  /** y_t = z_t,target(t) - log Σ exp z_t. */
  @Override
  public void tokenLogLikelihood(Tensor out, Tensor logits, Tensor targets) {
    Arguments.requireTokenLogLikelihood(out, logits, targets);
    double[][] z = rows(logits);
    int[] target = integers(targets);
    double[] y = new double[z.length];
    for (int t = 0; t < y.length; t++) {
      y[t] = z[t][target[t]] - logSumExp(z[t]);
    }
    write(out, y);
  }
}
