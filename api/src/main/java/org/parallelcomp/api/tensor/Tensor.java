package org.parallelcomp.api.tensor;

/**
 * A typed, shaped view of storage that a backend owns. Only the backend that made it can look
 * inside; data crosses to the host by {@link org.parallelcomp.api.backend.HostTransfer} alone. A
 * tensor is valid until its {@link org.parallelcomp.api.backend.MemoryScope} closes.
 */
public interface Tensor {
  /** Returns the element type. */
  DType dtype();

  /** Returns where the elements lie. */
  Layout layout();

  /** Returns the extents. */
  default Shape shape() {
    return layout().shape();
  }

  /** Returns a view of the part {@code [from, to)} along an axis; no data moves. */
  Tensor slice(int axis, long from, long to);

  /**
   * Returns a view of the same elements under another shape; no data moves.
   *
   * @throws IllegalArgumentException if that is not possible without a copy
   */
  Tensor reshape(Shape shape);
}
