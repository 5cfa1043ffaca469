package org.parallelcomp.api.backend;

import org.parallelcomp.api.tensor.Tensor;

/**
 * The only way for data to cross between a backend and the host. Copies of another length or type
 * than the tensor's, and copies into a tensor that was loaded, are refused.
 */
public interface HostTransfer {
  /** Copies host numbers into an F32 tensor of as many elements, in row-major order. */
  void copyFromHost(Tensor target, float[] source);

  /** Copies host numbers into an I32 tensor of as many elements, in row-major order. */
  void copyFromHost(Tensor target, int[] source);

  /** Returns a copy of a tensor's numbers in row-major order; any floating or block type. */
  float[] copyToHostFloats(Tensor source);

  /** Returns a copy of an I32 tensor's numbers in row-major order. */
  int[] copyToHostInts(Tensor source);
}
