package org.parallelcomp.conformance.asserting;

import java.util.Arrays;
import org.parallelcomp.api.tensor.Layout;

/** Whether two views of one storage share an element. */
final class Overlap {
  private Overlap() {}

  static boolean of(Layout a, Layout b) {
    if (a.shape().elements() == 0 || b.shape().elements() == 0) {
      return false;
    }
    long[] runsOfA = runs(a);
    long[] runsOfB = runs(b);
    long lengthOfA = runLength(a);
    long lengthOfB = runLength(b);
    int i = 0;
    int j = 0;
    while (i < runsOfA.length && j < runsOfB.length) {
      if (runsOfA[i] + lengthOfA <= runsOfB[j]) {
        i++;
      } else if (runsOfB[j] + lengthOfB <= runsOfA[i]) {
        j++;
      } else {
        return true;
      }
    }
    return false;
  }

  /** Numbers that lie side by side: a row, or everything. */
  private static long runLength(Layout layout) {
    if (layout.isContiguous()) {
      return layout.shape().elements();
    }
    return layout.stride(-1) == 1 ? layout.shape().dim(-1) : 1;
  }

  /** Returns where the runs begin, in ascending order. */
  private static long[] runs(Layout layout) {
    long length = runLength(layout);
    long[] starts = new long[Math.toIntExact(layout.shape().elements() / length)];
    int rank = layout.shape().rank();
    int axes = length == 1 ? rank : rank - 1;
    for (int run = 0; run < starts.length && !layout.isContiguous(); run++) {
      long rest = run;
      starts[run] = layout.offset();
      for (int axis = axes - 1; axis >= 0; axis--) {
        starts[run] += rest % layout.shape().dim(axis) * layout.stride(axis);
        rest /= layout.shape().dim(axis);
      }
    }
    if (layout.isContiguous()) {
      starts[0] = layout.offset();
    }
    Arrays.sort(starts);
    return starts;
  }
}
