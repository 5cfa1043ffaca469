package org.parallelcomp.backend.cuda.ffi;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;

/**
 * The arguments of one launch, in the order of the kernel's parameters. They are copied when the
 * launch is made, so each thread uses one buffer again and again.
 */
public final class LaunchArguments {
  static final int MOST_ARGUMENTS = 32;
  static final int MOST_BYTES = 4096;

  private static final ThreadLocal<LaunchArguments> OF_THREAD =
      ThreadLocal.withInitial(LaunchArguments::new);

  private final long[] words = new long[MOST_BYTES / 8];
  private final MemorySegment bytes = MemorySegment.ofArray(words);
  private final int[] offsets = new int[MOST_ARGUMENTS];
  private int count;
  private int end;

  private LaunchArguments() {}

  /** Returns the calling thread's buffer, empty; whatever it held is gone. */
  public static LaunchArguments begin() {
    LaunchArguments arguments = OF_THREAD.get();
    // What lies between arguments counts when launches are compared.
    Arrays.fill(arguments.words, 0, (arguments.end + 7) / 8, 0);
    arguments.count = 0;
    arguments.end = 0;
    return arguments;
  }

  /** Adds an address on the device; 0 is the null pointer. */
  public LaunchArguments address(long address) {
    return number(address);
  }

  /** Adds a 64-bit integer. */
  public LaunchArguments number(long value) {
    bytes.set(ValueLayout.JAVA_LONG, next(8, 8), value);
    return this;
  }

  /** Adds a 32-bit integer. */
  public LaunchArguments number(int value) {
    bytes.set(ValueLayout.JAVA_INT, next(4, 4), value);
    return this;
  }

  /** Adds a single-precision number. */
  public LaunchArguments number(float value) {
    bytes.set(ValueLayout.JAVA_FLOAT, next(4, 4), value);
    return this;
  }

  /** Adds a structure of 32- and 64-bit fields, to be filled by the caller; all are zero. */
  public MemorySegment structure(int size) {
    return bytes.asSlice(next(size, 8), size);
  }

  private int next(int size, int alignment) {
    int at = (end + alignment - 1) / alignment * alignment;
    offsets[count++] = at;
    end = at + size;
    return at;
  }

  /** Returns a copy of all arguments. */
  long[] values() {
    return Arrays.copyOf(words, (end + 7) / 8);
  }

  /** Returns where each argument begins. */
  int[] offsets() {
    return Arrays.copyOf(offsets, count);
  }
}
