package org.parallelcomp.backend.cuda.ffi;

import java.lang.foreign.MemorySegment;
import java.util.concurrent.atomic.AtomicReference;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;

/** Owns one handle of a library and gives it back once; closing again is harmless. */
abstract class NativeOwner implements AutoCloseable {
  private final AtomicReference<MemorySegment> handle;

  NativeOwner(MemorySegment handle) {
    this.handle = new AtomicReference<>(handle);
  }

  /** Returns the handle. */
  MemorySegment handle() {
    MemorySegment held = handle.get();
    if (held == null) {
      throw new InferenceException(
          ErrorCode.INTERNAL, "A closed " + getClass().getSimpleName() + " was used.");
    }
    return held;
  }

  /** Returns whether the handle was given back. */
  public final boolean isClosed() {
    return handle.get() == null;
  }

  /** Gives the handle back to the library. */
  abstract void release(MemorySegment held);

  @Override
  public final void close() {
    MemorySegment held = handle.getAndSet(null);
    if (held != null) {
      release(held);
    }
  }
}
