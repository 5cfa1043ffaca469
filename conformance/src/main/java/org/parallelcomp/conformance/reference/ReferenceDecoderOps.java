package org.parallelcomp.conformance.reference;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;
import org.parallelcomp.api.backend.Arguments;
import org.parallelcomp.api.backend.DecoderOps;
import org.parallelcomp.api.backend.Rope;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Tensor;

/** The operations of the decoder layers; the fused blocks are the interface's compositions. */
final class ReferenceDecoderOps implements DecoderOps {
  @Override
  public void embed(Tensor out, Tensor table, Tensor tokenIds) {
    int dim = table.shape().intDim(1);
    Require.supported(table.dtype() != DType.I32, "embedding", table.dtype());
    Arguments.requireEmbed(out, table, tokenIds);
    double[] rows = ReferenceTensor.read(table);
    int[] ids = ReferenceTensor.readInts(tokenIds);
    double[] result = new double[ids.length * dim];
    for (int t = 0; t < ids.length; t++) {
      System.arraycopy(rows, ids[t] * dim, result, t * dim, dim);
    }
    ReferenceTensor.write(out, result);
  }

  @Override
  public void linear(Tensor out, Tensor weight, @Nullable Tensor bias, Tensor in) {
    int outputDim = weight.shape().intDim(0);
    int inputDim = weight.shape().intDim(1);
    Require.supported(weight.dtype() != DType.I32, "product", weight.dtype());
    Arguments.requireLinear(out, weight, bias, in);
    double[] w = ReferenceTensor.read(weight);
    double[] x = ReferenceTensor.read(in);
    double[] b = bias == null ? new double[outputDim] : ReferenceTensor.read(bias);
    double[] y = new double[x.length / inputDim * outputDim];
    for (int i = 0; i < y.length; i++) {
      int row = i / outputDim;
      int column = i % outputDim;
      double sum = b[column];
      for (int k = 0; k < inputDim; k++) {
        sum += x[row * inputDim + k] * w[column * inputDim + k];
      }
      y[i] = sum;
    }
    ReferenceTensor.write(out, y);
  }

  @Override
  public void rmsNorm(Tensor out, Tensor in, Tensor weight, float epsilon) {
    Arguments.requireRmsNorm(out, in, weight);
    double[] x = ReferenceTensor.read(in);
    double[] w = ReferenceTensor.read(weight);
    int dim = w.length;
    for (int row = 0; row < x.length; row += dim) {
      double squares = Arrays.stream(x, row, row + dim).map(v -> v * v).sum();
      double scale = 1 / Math.sqrt(squares / dim + epsilon);
      for (int i = 0; i < dim; i++) {
        x[row + i] = x[row + i] * scale * w[i];
      }
    }
    ReferenceTensor.write(out, x);
  }

  @Override
  public void rope(Tensor inOut, Tensor positions, Rope rope) {
    int heads = inOut.shape().intDim(1);
    int headDim = inOut.shape().intDim(2);
    Arguments.requireRope(inOut, positions, rope);
    double[] x = ReferenceTensor.read(inOut);
    int[] at = ReferenceTensor.readInts(positions);
    var rotation = new Rotation(rope);
    for (int row = 0; row < at.length * heads; row++) {
      rotation.turn(x, row * headDim, at[row / heads]);
    }
    ReferenceTensor.write(inOut, x);
  }

  @Override
  public void swiGlu(Tensor out, Tensor gate, Tensor up) {
    Arguments.requireSwiGlu(out, gate, up);
    double[] g = ReferenceTensor.read(gate);
    double[] u = ReferenceTensor.read(up);
    for (int i = 0; i < g.length; i++) {
      g[i] = g[i] / (1 + Math.exp(-g[i])) * u[i];
    }
    ReferenceTensor.write(out, g);
  }

  @Override
  public void add(Tensor inOut, Tensor term) {
    Arguments.requireAdd(inOut, term);
    double[] a = ReferenceTensor.read(inOut);
    double[] b = ReferenceTensor.read(term);
    Arrays.setAll(a, i -> a[i] + b[i]);
    ReferenceTensor.write(inOut, a);
  }

  @Override
  public void tokenLogLikelihood(Tensor out, Tensor logits, Tensor targets) {
    int vocab = logits.shape().intDim(1);
    Arguments.requireTokenLogLikelihood(out, logits, targets);
    double[] z = ReferenceTensor.read(logits);
    int[] target = ReferenceTensor.readInts(targets);
    double[] result = new double[target.length];
    for (int row = 0; row < result.length; row++) {
      double[] line = Arrays.copyOfRange(z, row * vocab, (row + 1) * vocab);
      double max = Arrays.stream(line).max().orElseThrow();
      double sum = Arrays.stream(line).map(v -> Math.exp(v - max)).sum();
      result[row] = line[target[row]] - max - Math.log(sum);
    }
    ReferenceTensor.write(out, result);
  }
}
