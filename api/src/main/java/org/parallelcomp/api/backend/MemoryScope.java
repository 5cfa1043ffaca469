package org.parallelcomp.api.backend;

import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Shape;
import org.parallelcomp.api.tensor.Tensor;

/**
 * An owner of tensor storage. Scopes form a tree (engine, model, request, chunk); closing one
 * closes its children and frees the storage of both. Closing twice is harmless. Several threads may
 * allocate from one scope.
 */
public interface MemoryScope extends AutoCloseable {
  /**
   * Allocates a contiguous tensor whose elements are zero.
   *
   * @throws org.parallelcomp.api.error.InferenceException OUT_OF_MEMORY, with the bytes asked for;
   *     the scope and the backend can be used as before
   */
  Tensor allocate(DType dtype, Shape shape);

  /** Opens a scope that ends with this one at the latest. */
  MemoryScope child(String name);

  /** Returns the bytes that this scope and its open children hold now. */
  long allocatedBytes();

  @Override
  void close();
}
