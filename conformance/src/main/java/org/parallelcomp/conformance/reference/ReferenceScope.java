package org.parallelcomp.conformance.reference;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.parallelcomp.api.backend.MemoryScope;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Layout;
import org.parallelcomp.api.tensor.Shape;
import org.parallelcomp.api.tensor.Tensor;

/** Counts what was allocated, and makes every use after closing an error. */
final class ReferenceScope implements MemoryScope {
  private final String name;
  private final @Nullable ReferenceScope parent;
  private final Set<ReferenceScope> children = new HashSet<>();
  private long ownBytes;
  private volatile boolean closed;

  ReferenceScope(String name, @Nullable ReferenceScope parent) {
    this.name = name;
    this.parent = parent;
  }

  @Override
  public Tensor allocate(DType dtype, Shape shape) {
    if (dtype.isBlock()) {
      throw new InferenceException(
          ErrorCode.UNSUPPORTED_OPERATION, "Tensors of type " + dtype + " can only be loaded.");
    }
    requireOpen();
    return tensor(dtype, shape, elements(shape), false);
  }

  private double[] elements(Shape shape) {
    try {
      return new double[Math.toIntExact(shape.elements())];
    } catch (ArithmeticException | OutOfMemoryError e) {
      throw new InferenceException(
          ErrorCode.OUT_OF_MEMORY,
          "No memory for the " + shape.elements() + " elements of " + shape + " in " + name + ".",
          e);
    }
  }

  /** Returns a scope as the reference backend's own. */
  static ReferenceScope of(MemoryScope scope) {
    if (scope instanceof ReferenceScope reference) {
      return reference;
    }
    throw new InferenceException(
        ErrorCode.INTERNAL, "The reference backend was given a scope of another backend.");
  }

  /** Returns a tensor over given elements. */
  synchronized ReferenceTensor tensor(
      DType dtype, Shape shape, double[] elements, boolean readOnly) {
    requireOpen();
    ownBytes += dtype.bytes(shape.elements());
    var storage = new ReferenceStorage(this, dtype, elements, readOnly);
    return new ReferenceTensor(storage, dtype, Layout.contiguous(shape));
  }

  @Override
  public synchronized MemoryScope child(String childName) {
    requireOpen();
    var child = new ReferenceScope(name + "/" + childName, this);
    children.add(child);
    return child;
  }

  @Override
  public synchronized long allocatedBytes() {
    return ownBytes + children.stream().mapToLong(ReferenceScope::allocatedBytes).sum();
  }

  @Override
  public void close() {
    List<ReferenceScope> open;
    synchronized (this) {
      if (closed) {
        return;
      }
      closed = true;
      ownBytes = 0;
      open = new ArrayList<>(children);
    }
    open.forEach(ReferenceScope::close);
    if (parent != null) {
      parent.forget(this);
    }
  }

  private synchronized void forget(ReferenceScope child) {
    children.remove(child);
  }

  void requireOpen() {
    if (closed) {
      throw new InferenceException(ErrorCode.INTERNAL, "Scope " + name + " is closed.");
    }
  }
}
