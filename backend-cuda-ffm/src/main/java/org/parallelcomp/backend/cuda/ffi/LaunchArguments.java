package org.parallelcomp.backend.cuda.ffi;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * The arguments of one launch, in the order of the kernel's parameters. The driver copies them when
 * the launch is put into a stream, so each thread uses one buffer again and again.
 */
public final class LaunchArguments {
  private static final int MOST_ARGUMENTS = 32;
  private static final int MOST_BYTES = 4096;

  private static final ThreadLocal<LaunchArguments> OF_THREAD =
      ThreadLocal.withInitial(LaunchArguments::new);

  private final MemorySegment pointers;
  private final MemorySegment values;
  private int count;
  private long at;

  private LaunchArguments() {
    Arena arena = Arena.ofAuto();
    this.pointers = arena.allocate(ValueLayout.ADDRESS, MOST_ARGUMENTS);
    this.values = arena.allocate(MOST_BYTES, 16);
  }

  /** Returns the calling thread's buffer, empty; whatever it held is gone. */
  public static LaunchArguments begin() {
    LaunchArguments arguments = OF_THREAD.get();
    arguments.count = 0;
    arguments.at = 0;
    return arguments;
  }

  /** Adds an address on the device; 0 is the null pointer. */
  public LaunchArguments address(long address) {
    return number(address);
  }

  /** Adds a 64-bit integer. */
  public LaunchArguments number(long value) {
    next(8, 8).set(ValueLayout.JAVA_LONG, 0, value);
    return this;
  }

  /** Adds a 32-bit integer. */
  public LaunchArguments number(int value) {
    next(4, 4).set(ValueLayout.JAVA_INT, 0, value);
    return this;
  }

  /** Adds a single-precision number. */
  public LaunchArguments number(float value) {
    next(4, 4).set(ValueLayout.JAVA_FLOAT, 0, value);
    return this;
  }

  /** Adds a structure of 32- and 64-bit fields, to be filled by the caller. */
  public MemorySegment structure(int bytes) {
    return next(bytes, 8).fill((byte) 0);
  }

  private MemorySegment next(int bytes, int alignment) {
    at = (at + alignment - 1) / alignment * alignment;
    MemorySegment value = values.asSlice(at, bytes);
    pointers.setAtIndex(ValueLayout.ADDRESS, count++, value);
    at += bytes;
    return value;
  }

  MemorySegment pointers() {
    return pointers;
  }
}
