package com.example.parallelcomp;

import static com.example.parallelcomp.ScalarTensor.integers;
import static com.example.parallelcomp.ScalarTensor.numbers;
import static com.example.parallelcomp.ScalarTensor.write;

import java.util.Arrays;
import java.util.stream.IntStream;
import org.parallelcomp.api.backend.HostTransfer;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Tensor;

/** Copies between Java arrays and tensors. */
final class ScalarHostTransfer implements HostTransfer {
  @Override
  public void copyFromHost(Tensor target, float[] source) {
    require(target.dtype() == DType.F32, target, "numbers");
    write(target, IntStream.range(0, source.length).mapToDouble(i -> source[i]).toArray());
  }

  @Override
  public void copyFromHost(Tensor target, int[] source) {
    require(target.dtype() == DType.I32, target, "integers");
    write(target, Arrays.stream(source).asDoubleStream().toArray());
  }

  @Override
  public float[] copyToHostFloats(Tensor source) {
    require(source.dtype() != DType.I32, source, "numbers");
    double[] numbers = numbers(source);
    float[] floats = new float[numbers.length];
    for (int i = 0; i < floats.length; i++) {
      floats[i] = (float) numbers[i];
    }
    return floats;
  }

  @Override
  public int[] copyToHostInts(Tensor source) {
    return integers(source);
  }

  private static void require(boolean holds, Tensor tensor, String what) {
    if (!holds) {
      throw new InferenceException(
          ErrorCode.INTERNAL, "A tensor of " + tensor.dtype() + " does not hold " + what + ".");
    }
  }
}
