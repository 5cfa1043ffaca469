package org.parallelcomp.backend.cuda.ffi;

import java.util.Arrays;
import org.parallelcomp.backend.cuda.ffi.CudaFunction.Grid;

/**
 * One launch of a kernel; two are equal if the device would do the same.
 *
 * @param sharedBytes dynamic shared memory of a block
 * @param values the bytes of all arguments
 * @param offsets where each argument begins among them
 */
record Launch(
    CudaFunction function, Grid grid, int threads, int sharedBytes, long[] values, int[] offsets) {
  @Override
  public boolean equals(Object other) {
    return other instanceof Launch launch
        && function == launch.function
        && threads == launch.threads
        && sharedBytes == launch.sharedBytes
        && grid.equals(launch.grid)
        && Arrays.equals(values, launch.values)
        && Arrays.equals(offsets, launch.offsets);
  }

  @Override
  public int hashCode() {
    return 31 * (31 * System.identityHashCode(function) + grid.hashCode())
        + Arrays.hashCode(values);
  }
}
