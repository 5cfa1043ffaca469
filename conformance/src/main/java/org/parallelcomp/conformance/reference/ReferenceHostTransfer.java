package org.parallelcomp.conformance.reference;

import java.util.Arrays;
import java.util.stream.IntStream;
import org.parallelcomp.api.backend.HostTransfer;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Tensor;

/** Copies between Java arrays and tensors, views included. */
final class ReferenceHostTransfer implements HostTransfer {
  @Override
  public void copyFromHost(Tensor target, float[] source) {
    require(target.dtype() == DType.F32, "numbers", target);
    ReferenceTensor.write(
        target, IntStream.range(0, source.length).mapToDouble(i -> source[i]).toArray());
  }

  @Override
  public void copyFromHost(Tensor target, int[] source) {
    require(target.dtype() == DType.I32, "integers", target);
    ReferenceTensor.write(target, Arrays.stream(source).asDoubleStream().toArray());
  }

  @Override
  public float[] copyToHostFloats(Tensor source) {
    require(source.dtype() != DType.I32, "numbers", source);
    double[] values = ReferenceTensor.read(source);
    float[] floats = new float[values.length];
    for (int i = 0; i < floats.length; i++) {
      floats[i] = (float) values[i];
    }
    return floats;
  }

  @Override
  public int[] copyToHostInts(Tensor source) {
    return ReferenceTensor.readInts(source);
  }

  private static void require(boolean condition, String what, Tensor tensor) {
    if (!condition) {
      throw new InferenceException(
          ErrorCode.INTERNAL,
          "A tensor of type " + tensor.dtype() + " does not hold " + what + ".");
    }
  }
}
