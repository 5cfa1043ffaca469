package com.example.parallelcomp;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.channels.FileChannel;
import java.nio.channels.FileChannel.MapMode;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.parallelcomp.api.backend.FileRegion;
import org.parallelcomp.api.backend.MemoryScope;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Layout;
import org.parallelcomp.api.tensor.Shape;
import org.parallelcomp.api.tensor.Tensor;

/** One arena: it clears what it gives out and takes everything back at once. */
final class ScalarScope implements MemoryScope {
  private final String name;
  private final ScalarScope parent;
  private final Set<ScalarScope> children = ConcurrentHashMap.newKeySet();
  private final Arena arena = Arena.ofShared();
  private long ownBytes;

  ScalarScope(String name, ScalarScope parent) {
    this.name = name;
    this.parent = parent;
  }

  /** Returns a scope as one of ours. */
  static ScalarScope of(MemoryScope scope) {
    if (scope instanceof ScalarScope ours) {
      return ours;
    }
    throw new InferenceException(ErrorCode.INTERNAL, "A scope of another backend was given.");
  }

  void requireOpen() {
    if (!arena.scope().isAlive()) {
      throw new InferenceException(ErrorCode.INTERNAL, "The scope " + name + " is closed.");
    }
  }

  @Override
  public synchronized Tensor allocate(DType dtype, Shape shape) {
    requireOpen();
    Elements.requireWritable(dtype);
    MemorySegment bytes;
    try {
      bytes = arena.allocate(dtype.bytes(shape.elements()));
    } catch (OutOfMemoryError | ArithmeticException e) {
      throw new InferenceException(
          ErrorCode.OUT_OF_MEMORY, "There is no memory for a tensor " + dtype + shape + ".", e);
    }
    ownBytes += bytes.byteSize();
    return new ScalarTensor(this, bytes, dtype, Layout.contiguous(shape));
  }

  /** Returns a tensor over the bytes of a file, which nobody copies and nobody can write. */
  synchronized Tensor map(FileRegion region, DType dtype, Shape shape) {
    requireOpen();
    try (FileChannel file = FileChannel.open(region.file())) {
      MemorySegment bytes =
          file.map(MapMode.READ_ONLY, region.offsetBytes(), region.sizeBytes(), arena);
      return new ScalarTensor(this, bytes, dtype, Layout.contiguous(shape));
    } catch (IOException e) {
      throw new InferenceException(
          ErrorCode.FILE_NOT_READABLE, "The file " + region.file() + " cannot be mapped.", e);
    }
  }

  @Override
  public synchronized MemoryScope child(String childName) {
    requireOpen();
    var child = new ScalarScope(name + "/" + childName, this);
    children.add(child);
    return child;
  }

  @Override
  public synchronized long allocatedBytes() {
    return ownBytes + children.stream().mapToLong(ScalarScope::allocatedBytes).sum();
  }

  @Override
  public synchronized void close() {
    if (!arena.scope().isAlive()) {
      return;
    }
    children.forEach(ScalarScope::close);
    arena.close();
    ownBytes = 0;
    if (parent != null) {
      parent.children.remove(this);
    }
  }
}
