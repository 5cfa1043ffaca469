package org.parallelcomp.backend.cpu.vector;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
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

/** Off-heap memory in a shared arena, freed when the scope closes. */
final class CpuMemoryScope implements MemoryScope {
  /** A cache line, which is also the widest vector: no load of a row's start crosses a line. */
  private static final long ALIGNMENT_BYTES = 64;

  private final String name;
  private final @Nullable CpuMemoryScope parent;
  private final Arena arena = Arena.ofShared();
  private final Set<CpuMemoryScope> children = new HashSet<>();
  private long ownBytes;
  private boolean closed;

  CpuMemoryScope(String name, @Nullable CpuMemoryScope parent) {
    this.name = name;
    this.parent = parent;
  }

  /** Returns the arena, for mappings that end with this scope. */
  Arena arena() {
    return arena;
  }

  @Override
  public synchronized Tensor allocate(DType dtype, Shape shape) {
    requireOpen();
    long bytes = dtype.bytes(shape.elements());
    try {
      MemorySegment storage = arena.allocate(Math.max(1, bytes), ALIGNMENT_BYTES);
      ownBytes += bytes;
      return new CpuTensor(storage, dtype, Layout.contiguous(shape));
    } catch (OutOfMemoryError e) {
      throw new InferenceException(
          ErrorCode.OUT_OF_MEMORY,
          "No memory for " + bytes + " bytes (" + dtype + " " + shape + ") in scope " + name + ".",
          e);
    }
  }

  @Override
  public synchronized MemoryScope child(String childName) {
    requireOpen();
    var child = new CpuMemoryScope(name + "/" + childName, this);
    children.add(child);
    return child;
  }

  @Override
  public synchronized long allocatedBytes() {
    return ownBytes + children.stream().mapToLong(CpuMemoryScope::allocatedBytes).sum();
  }

  @Override
  public void close() {
    List<CpuMemoryScope> open;
    synchronized (this) {
      if (closed) {
        return;
      }
      closed = true;
      open = new ArrayList<>(children);
    }
    open.forEach(CpuMemoryScope::close);
    arena.close();
    if (parent != null) {
      parent.forget(this);
    }
  }

  private synchronized void forget(CpuMemoryScope child) {
    children.remove(child);
  }

  private void requireOpen() {
    if (closed) {
      throw new InferenceException(ErrorCode.INTERNAL, "Scope " + name + " is closed.");
    }
  }
}
