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
}
