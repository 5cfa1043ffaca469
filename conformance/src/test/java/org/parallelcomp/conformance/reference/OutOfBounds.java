package org.parallelcomp.conformance.reference;

import org.parallelcomp.api.tensor.Tensor;

/** What no view allows: writing beside it. For backends that are broken on purpose. */
public final class OutOfBounds {
  private OutOfBounds() {}

  /** Overwrites the element behind the first row of a view whose rows have gaps between them. */
  public static void writeBehindFirstRow(Tensor tensor) {
    ReferenceTensor view = ReferenceTensor.of(tensor);
    if (!view.layout().isContiguous()) {
      view.storage().set(view.layout().offset() + view.shape().dim(-1), 0);
    }
  }

  /** Overwrites the element behind the last one of a tensor that has one behind it. */
  public static void writeBehind(Tensor tensor) {
    ReferenceTensor view = ReferenceTensor.of(tensor);
    long last = view.layout().offset();
    for (int axis = 0; axis < view.shape().rank(); axis++) {
      last += (view.shape().dim(axis) - 1) * view.layout().stride(axis);
    }
    if (view.shape().elements() > 0) {
      view.storage().set(last + 1, 0);
    }
  }
}
