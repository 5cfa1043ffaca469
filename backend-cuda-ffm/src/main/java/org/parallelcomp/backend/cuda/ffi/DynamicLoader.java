package org.parallelcomp.backend.cuda.ffi;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.nio.file.Path;

/**
 * The system's loader with its own words on failure, which {@link SymbolLookup#libraryLookup} does
 * not tell. What is opened stays open.
 */
final class DynamicLoader {
  /** RTLD_NOW of glibc and musl: a library that misses a symbol fails here and not later. */
  private static final int RESOLVE_NOW = 2;

  /** RTLD_DI_LINKMAP of glibc; the first two words of a link_map are its address and its name. */
  private static final int LINK_MAP = 2;

  private final MethodHandle open;
  private final MethodHandle error;
  private final MethodHandle info;

  /** What came of opening a file. */
  sealed interface Outcome {
    /**
     * It is open.
     *
     * @param file where the loader found it
     */
    record Opened(Path file) implements Outcome {}

    /**
     * It is not.
     *
     * @param text what the loader says
     */
    record Refused(String text) implements Outcome {}
  }

  DynamicLoader() {
    Linker linker = Linker.nativeLinker();
    SymbolLookup system = linker.defaultLookup();
    this.open =
        linker.downcallHandle(
            system.findOrThrow("dlopen"),
            FunctionDescriptor.of(ValueLayout.ADDRESS, ValueLayout.ADDRESS, ValueLayout.JAVA_INT));
    this.error =
        linker.downcallHandle(
            system.findOrThrow("dlerror"), FunctionDescriptor.of(ValueLayout.ADDRESS));
    this.info =
        linker.downcallHandle(
            system.findOrThrow("dlinfo"),
            FunctionDescriptor.of(
                ValueLayout.JAVA_INT,
                ValueLayout.ADDRESS,
                ValueLayout.JAVA_INT,
                ValueLayout.ADDRESS));
  }

  /**
   * Opens a library.
   *
   * @param name a path, or a file name for the loader to find on its own path
   */
  Outcome open(String name) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment handle =
          (MemorySegment) open.invokeExact(arena.allocateFrom(name), RESOLVE_NOW);
      if (handle.equals(MemorySegment.NULL)) {
        return new Outcome.Refused(lastError());
      }
      MemorySegment map = arena.allocate(ValueLayout.ADDRESS);
      if ((int) info.invokeExact(handle, LINK_MAP, map) != 0) {
        return new Outcome.Refused(lastError());
      }
      MemorySegment words =
          map.get(ValueLayout.ADDRESS, 0).reinterpret(2 * ValueLayout.ADDRESS.byteSize());
      return new Outcome.Opened(
          Path.of(string(words.get(ValueLayout.ADDRESS, ValueLayout.ADDRESS.byteSize()))));
    } catch (Error | RuntimeException e) {
      throw e;
    } catch (Throwable e) {
      throw new AssertionError(e);
    }
  }

  private String lastError() throws Throwable {
    MemorySegment text = (MemorySegment) error.invokeExact();
    return text.equals(MemorySegment.NULL) ? "the loader gives no reason" : string(text);
  }

  private static String string(MemorySegment pointer) {
    return pointer.reinterpret(Long.MAX_VALUE).getString(0);
  }
}
