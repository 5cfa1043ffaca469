package org.parallelcomp.backend.host;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
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
public final class HostMemoryScope implements MemoryScope {
  /** A cache line, which is also the widest vector: no load of a row's start crosses a line. */
  private static final long ALIGNMENT_BYTES = 64;

  private final HostMemory memory;
  private final String name;
  private final @Nullable HostMemoryScope parent;
  private final Arena arena = Arena.ofShared();
  private final Set<HostMemoryScope> children = new HashSet<>();
  private final Map<Path, MemorySegment> mappings = new HashMap<>();
  private final List<Runnable> endings = new ArrayList<>();
  private long ownBytes;
  private boolean closed;

  HostMemoryScope(HostMemory memory, String name, @Nullable HostMemoryScope parent) {
    this.memory = memory;
    this.name = name;
    this.parent = parent;
  }

  /** Returns the memory of the backend that the scope is part of. */
  HostMemory memory() {
    return memory;
  }

  /** Has something done before the memory goes. */
  public synchronized void beforeClose(Runnable ending) {
    requireOpen();
    endings.add(ending);
  }

  /** Returns the bytes of a file, mapped once and until this scope closes. */
  synchronized MemorySegment map(Path file) throws IOException {
    requireOpen();
    Path absolute = file.toAbsolutePath().normalize();
    MemorySegment mapped = mappings.get(absolute);
    if (mapped == null) {
      try (FileChannel channel = FileChannel.open(absolute, StandardOpenOption.READ)) {
        mapped = channel.map(FileChannel.MapMode.READ_ONLY, 0, channel.size(), arena);
      }
      mappings.put(absolute, mapped);
    }
    return mapped;
  }

  @Override
  public synchronized Tensor allocate(DType dtype, Shape shape) {
    requireOpen();
    long bytes;
    try {
      bytes = dtype.bytes(shape.elements());
    } catch (ArithmeticException e) {
      throw new InferenceException(
          ErrorCode.OUT_OF_MEMORY,
          "No memory has as many bytes as " + dtype + shape + " needs.",
          e);
    }
    try {
      MemorySegment storage = arena.allocate(Math.max(1, bytes), ALIGNMENT_BYTES);
      ownBytes += bytes;
      return new HostTensor(this, storage, dtype, Layout.contiguous(shape));
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
    var child = new HostMemoryScope(memory, name + "/" + childName, this);
    children.add(child);
    return child;
  }

  @Override
  public synchronized long allocatedBytes() {
    return ownBytes + children.stream().mapToLong(HostMemoryScope::allocatedBytes).sum();
  }

  @Override
  public void close() {
    List<HostMemoryScope> open;
    List<Runnable> last;
    synchronized (this) {
      if (closed) {
        return;
      }
      closed = true;
      open = new ArrayList<>(children);
      last = List.copyOf(endings);
    }
    last.forEach(Runnable::run);
    open.forEach(HostMemoryScope::close);
    arena.close();
    if (parent != null) {
      parent.forget(this);
    }
  }

  private synchronized void forget(HostMemoryScope child) {
    children.remove(child);
  }

  private void requireOpen() {
    if (closed) {
      throw new InferenceException(ErrorCode.INTERNAL, "Scope " + name + " is closed.");
    }
  }
}
