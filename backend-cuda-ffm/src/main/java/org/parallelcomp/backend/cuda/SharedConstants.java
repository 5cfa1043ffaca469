package org.parallelcomp.backend.cuda;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.Map;
import org.parallelcomp.backend.cuda.ffi.DeviceMemory;

/**
 * Small tables that kernels read, kept on the device by their contents. Decoding asks for the same
 * ones in every layer or at every step; to copy them each time would cost more than the kernels.
 */
final class SharedConstants implements AutoCloseable {
  private static final int MOST_ENTRIES = 4096;

  private final CudaRuntime runtime;
  private final Map<ByteBuffer, Entry> entries = new LinkedHashMap<>(16, 0.75f, true);

  SharedConstants(CudaRuntime runtime) {
    this.runtime = runtime;
  }

  private static final class Entry {
    private final DeviceMemory memory;
    private int users;

    Entry(DeviceMemory memory) {
      this.memory = memory;
    }
  }

  /** A table in use; to be closed once the launch that reads it is in the stream. */
  final class Lease implements AutoCloseable {
    private final Entry entry;

    private Lease(Entry entry) {
      this.entry = entry;
    }

    /** Returns the table's address on the device. */
    long address() {
      return entry.memory.address();
    }

    @Override
    public void close() {
      synchronized (SharedConstants.this) {
        entry.users--;
      }
    }
  }

  /** Returns a table of these bytes. */
  synchronized Lease lease(MemorySegment bytes) {
    ByteBuffer key = ByteBuffer.wrap(bytes.toArray(ValueLayout.JAVA_BYTE));
    Entry entry = entries.get(key);
    if (entry == null) {
      try (Arena arena = Arena.ofConfined()) {
        entry =
            new Entry(runtime.temporary(arena.allocateFrom(ValueLayout.JAVA_BYTE, key.array())));
      }
      entries.put(key, entry);
    }
    entry.users++;
    forgetOldest();
    return new Lease(entry);
  }

  /** Frees tables that nobody uses, the longest unused first, until few enough are left. */
  private void forgetOldest() {
    Iterator<Entry> oldest = entries.values().iterator();
    while (entries.size() > MOST_ENTRIES && oldest.hasNext()) {
      Entry entry = oldest.next();
      if (entry.users == 0) {
        oldest.remove();
        entry.memory.close();
      }
    }
  }

  @Override
  public synchronized void close() {
    entries.values().forEach(entry -> entry.memory.close());
    entries.clear();
  }
}
