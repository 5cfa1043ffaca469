package org.parallelcomp.backend.cuda.ffi;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.function.ToIntFunction;

/** Results that a library writes through a pointer. */
final class Slots {
  private Slots() {}

  /** Calls a function that writes a pointer and returns what it wrote. */
  static MemorySegment pointer(
      Library library, String callee, ToIntFunction<MemorySegment> function) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment slot = arena.allocate(ValueLayout.ADDRESS);
      library.check(callee, function.applyAsInt(slot));
      return slot.get(ValueLayout.ADDRESS, 0);
    }
  }

  /** Calls a function that writes an int. */
  static int integer(Library library, String callee, ToIntFunction<MemorySegment> function) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment slot = arena.allocate(ValueLayout.JAVA_INT);
      library.check(callee, function.applyAsInt(slot));
      return slot.get(ValueLayout.JAVA_INT, 0);
    }
  }

  /** Calls a function that writes a long, a size or a device address. */
  static long word(Library library, String callee, ToIntFunction<MemorySegment> function) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment slot = arena.allocate(ValueLayout.JAVA_LONG);
      library.check(callee, function.applyAsInt(slot));
      return slot.get(ValueLayout.JAVA_LONG, 0);
    }
  }
}
