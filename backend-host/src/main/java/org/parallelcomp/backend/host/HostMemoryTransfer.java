package org.parallelcomp.backend.host;

import org.parallelcomp.api.backend.HostTransfer;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.tensor.Tensor;

/** Copies between tensors and arrays. */
public final class HostMemoryTransfer implements HostTransfer {
  private final HostMemory memory;

  public HostMemoryTransfer(HostMemory memory) {
    this.memory = memory;
  }

  @Override
  public void copyFromHost(Tensor target, float[] source) {
    requireWritable(target, source.length);
    Rows rows = memory.floats(target);
    for (int row = 0; row < rows.count(); row++) {
      rows.write(row, source, row * rows.length());
    }
  }

  @Override
  public void copyFromHost(Tensor target, int[] source) {
    requireWritable(target, source.length);
    Rows rows = memory.ints(target);
    for (int row = 0; row < rows.count(); row++) {
      rows.write(row, source, row * rows.length());
    }
  }

  @Override
  public float[] copyToHostFloats(Tensor source) {
    return memory.numbers(source);
  }

  @Override
  public int[] copyToHostInts(Tensor source) {
    return memory.ints(source).toInts();
  }

  private void requireWritable(Tensor target, int length) {
    if (memory.tensor(target).storage().isReadOnly()) {
      throw new InferenceException(
          ErrorCode.INTERNAL, "A tensor that was loaded from a file cannot be overwritten.");
    }
    if (target.shape().elements() != length) {
      throw new InferenceException(
          ErrorCode.INVALID_ARGUMENT,
          length + " numbers do not fill a tensor of shape " + target.shape() + ".");
    }
  }
}
