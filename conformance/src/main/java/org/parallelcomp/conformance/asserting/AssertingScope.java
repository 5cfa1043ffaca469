package org.parallelcomp.conformance.asserting;

import org.jspecify.annotations.Nullable;
import org.parallelcomp.api.backend.MemoryScope;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Shape;
import org.parallelcomp.api.tensor.Tensor;

/** A scope that knows whether it, or one above it, has been closed. */
final class AssertingScope implements MemoryScope {
  private final String name;
  private final MemoryScope real;
  private final @Nullable AssertingScope parent;
  private final AssertingBackend backend;
  private volatile boolean closed;

  AssertingScope(
      String name, MemoryScope real, @Nullable AssertingScope parent, AssertingBackend backend) {
    this.name = name;
    this.real = real;
    this.parent = parent;
    this.backend = backend;
  }

  MemoryScope real() {
    return real;
  }

  AssertingBackend backend() {
    return backend;
  }

  /** Returns whether this is a scope or lies below it. */
  boolean isWithin(AssertingScope scope) {
    return this == scope || (parent != null && parent.isWithin(scope));
  }

  boolean isClosed() {
    return closed || (parent == null ? backend.isClosed() : parent.isClosed());
  }

  @Override
  public Tensor allocate(DType dtype, Shape shape) {
    Contract.require(!isClosed(), () -> "allocates in the closed scope " + this);
    long before = real.allocatedBytes();
    Tensor tensor = real.allocate(dtype, shape);
    Contract.require(
        tensor.dtype() == dtype
            && tensor.shape().equals(shape)
            && (shape.elements() == 0 || tensor.layout().isContiguous()),
        () -> "asked for " + dtype + shape + ", got " + tensor.dtype() + tensor.layout());
    Contract.require(
        real.allocatedBytes() >= before,
        () -> "scope " + this + " holds fewer bytes behind an allocation than before");
    return adopt(tensor);
  }

  /** Returns a tensor that the backend has made in this scope. */
  AssertingTensor adopt(Tensor tensor) {
    return new AssertingTensor(tensor, this, new Object());
  }

  @Override
  public MemoryScope child(String childName) {
    Contract.require(!isClosed(), () -> "opens a scope below the closed scope " + this);
    return new AssertingScope(childName, real.child(childName), this, backend);
  }

  @Override
  public long allocatedBytes() {
    long bytes = real.allocatedBytes();
    Contract.require(bytes >= 0, () -> this + " holds " + bytes + " bytes");
    return bytes;
  }

  @Override
  public void close() {
    backend.calls().requireUnused(this);
    closed = true;
    real.close();
    if (parent == null) {
      backend.closed(this);
    }
  }

  @Override
  public String toString() {
    return parent == null ? name : parent + "/" + name;
  }
}
