package org.parallelcomp.backend.onnx.runtime;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.nio.file.Path;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;

/** The loaded library's table of functions. */
final class OrtApi {
  /** The version of the table that is asked for; every newer library has it too. */
  static final int VERSION = 23;

  private static final Linker LINKER = Linker.nativeLinker();
  private static final long UNBOUNDED = Long.MAX_VALUE;

  // Called many times a token, so their handles are constants and their addresses arguments.
  private static final MethodHandle CREATE_TENSOR =
      LINKER.downcallHandle(OrtFunction.CREATE_TENSOR_WITH_DATA.descriptor());
  private static final MethodHandle RELEASE =
      LINKER.downcallHandle(OrtFunction.RELEASE_VALUE.descriptor());
  private static final MethodHandle RUN = LINKER.downcallHandle(OrtFunction.RUN.descriptor());

  private final MethodHandle[] functions = new MethodHandle[OrtFunction.values().length];
  private final MemorySegment createTensor;
  private final MemorySegment releaseValue;
  private final MemorySegment run;
  private final String version;

  private OrtApi(MemorySegment table, String version) {
    this.version = version;
    for (OrtFunction function : OrtFunction.values()) {
      functions[function.ordinal()] =
          LINKER.downcallHandle(address(table, function), function.descriptor());
    }
    createTensor = address(table, OrtFunction.CREATE_TENSOR_WITH_DATA);
    releaseValue = address(table, OrtFunction.RELEASE_VALUE);
    run = address(table, OrtFunction.RUN);
  }

  private static MemorySegment address(MemorySegment table, OrtFunction function) {
    return table.getAtIndex(ValueLayout.ADDRESS, function.index());
  }

  /**
   * Loads a library, which stays until the process ends.
   *
   * @throws IllegalArgumentException if it cannot be loaded or is no ONNX Runtime
   * @throws UnsupportedOperationException if it is older than the functions used here
   */
  static OrtApi load(Path library) {
    forbidTelemetry();
    SymbolLookup symbols = SymbolLookup.libraryLookup(library, Arena.global());
    MemorySegment getBase =
        symbols
            .find("OrtGetApiBase")
            .orElseThrow(() -> new IllegalArgumentException(library + " is no ONNX Runtime"));
    try {
      var pointer = FunctionDescriptor.of(ValueLayout.ADDRESS);
      MemorySegment base =
          ((MemorySegment) LINKER.downcallHandle(getBase, pointer).invokeExact())
              .reinterpret(2 * ValueLayout.ADDRESS.byteSize());
      MemorySegment getApi = base.getAtIndex(ValueLayout.ADDRESS, 0);
      MemorySegment getVersion = base.getAtIndex(ValueLayout.ADDRESS, 1);
      String version =
          string((MemorySegment) LINKER.downcallHandle(getVersion, pointer).invokeExact());
      var ofVersion = FunctionDescriptor.of(ValueLayout.ADDRESS, ValueLayout.JAVA_INT);
      MemorySegment table =
          (MemorySegment) LINKER.downcallHandle(getApi, ofVersion).invokeExact(VERSION);
      if (table.address() == 0) {
        throw new UnsupportedOperationException(
            "ONNX Runtime " + version + " is older than 1." + VERSION);
      }
      return new OrtApi(table.reinterpret(UNBOUNDED), version);
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw new AssertionError(e);
    }
  }

  /**
   * Sets {@code ORT_DISABLE_TELEMETRY} for this process. Since 1.29 the library reports to its
   * maker from Linux and macOS, too, and begins before the function that switches that off can be
   * called: it makes files in the user's cache and in /tmp, reads the machine's id, and overflows
   * the stack of a Java thread over a long command line. On Windows that function is early enough.
   */
  private static void forbidTelemetry() {
    MemorySegment setenv = LINKER.defaultLookup().find("setenv").orElse(MemorySegment.NULL);
    if (setenv.address() == 0) {
      return;
    }
    var type =
        FunctionDescriptor.of(
            ValueLayout.JAVA_INT, ValueLayout.ADDRESS, ValueLayout.ADDRESS, ValueLayout.JAVA_INT);
    try (Arena arena = Arena.ofConfined()) {
      int failed =
          (int)
              LINKER
                  .downcallHandle(setenv, type)
                  .invokeExact(
                      arena.allocateFrom("ORT_DISABLE_TELEMETRY"), arena.allocateFrom("1"), 1);
      if (failed != 0) {
        throw new IllegalArgumentException("its telemetry cannot be switched off");
      }
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw new AssertionError(e);
    }
  }

  /** Returns the library's version. */
  String version() {
    return version;
  }

  /** Calls a function and throws what its status says. */
  void call(OrtFunction function, Object... arguments) {
    check((MemorySegment) invoke(function, arguments));
  }

  /** Calls a function that returns nothing. */
  void release(OrtFunction function, MemorySegment handle) {
    invoke(function, handle);
  }

  /** Calls a function that stores what it makes where its last parameter points to. */
  MemorySegment create(OrtFunction function, Object... arguments) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment result = arena.allocate(ValueLayout.ADDRESS);
      Object[] all = java.util.Arrays.copyOf(arguments, arguments.length + 1);
      all[arguments.length] = result;
      call(function, all);
      return result.get(ValueLayout.ADDRESS, 0);
    }
  }

  private Object invoke(OrtFunction function, Object... arguments) {
    try {
      return functions[function.ordinal()].invokeWithArguments(arguments);
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw new AssertionError(e);
    }
  }

  /** Makes a value over memory that it does not own. */
  MemorySegment createTensor(
      SegmentAllocator allocator,
      MemorySegment memoryInfo,
      MemorySegment data,
      long bytes,
      MemorySegment dims,
      long rank,
      int type) {
    MemorySegment out = allocator.allocate(ValueLayout.ADDRESS);
    try {
      check(
          (MemorySegment)
              CREATE_TENSOR.invokeExact(
                  createTensor, memoryInfo, data, bytes, dims, rank, type, out));
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw new AssertionError(e);
    }
    return out.get(ValueLayout.ADDRESS, 0);
  }

  /** Frees a value, not its memory. */
  void releaseValue(MemorySegment value) {
    try {
      RELEASE.invokeExact(releaseValue, value);
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw new AssertionError(e);
    }
  }

  /** Runs a session from inputs to outputs that are there already. */
  void run(
      MemorySegment session,
      MemorySegment inputNames,
      MemorySegment inputs,
      long inputCount,
      MemorySegment outputNames,
      long outputCount,
      MemorySegment outputs) {
    try {
      check(
          (MemorySegment)
              RUN.invokeExact(
                  run,
                  session,
                  MemorySegment.NULL,
                  inputNames,
                  inputs,
                  inputCount,
                  outputNames,
                  outputCount,
                  outputs));
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw new AssertionError(e);
    }
  }

  private void check(MemorySegment status) {
    if (status.address() == 0) {
      return;
    }
    String message = string((MemorySegment) invoke(OrtFunction.GET_ERROR_MESSAGE, status));
    release(OrtFunction.RELEASE_STATUS, status);
    throw new InferenceException(ErrorCode.DEVICE_FAILURE, "ONNX Runtime: " + message);
  }

  /** Returns the text at an address that the library gave. */
  static String string(MemorySegment address) {
    return address.address() == 0 ? "" : address.reinterpret(UNBOUNDED).getString(0);
  }
}
