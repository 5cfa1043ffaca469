package org.parallelcomp.conformance.faults;

import org.parallelcomp.api.backend.MemoryScope;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Shape;
import org.parallelcomp.api.tensor.Tensor;

/** A scope that does as the honest one, for subclasses to break. */
class BrokenScope implements MemoryScope {
  private final MemoryScope honest;

  BrokenScope(MemoryScope honest) {
    this.honest = honest;
  }

  MemoryScope honest() {
    return honest;
  }

  @Override
  public Tensor allocate(DType dtype, Shape shape) {
    return honest.allocate(dtype, shape);
  }

  @Override
  public MemoryScope child(String name) {
    return honest.child(name);
  }

  @Override
  public long allocatedBytes() {
    return honest.allocatedBytes();
  }

  @Override
  public void close() {
    honest.close();
  }
}
