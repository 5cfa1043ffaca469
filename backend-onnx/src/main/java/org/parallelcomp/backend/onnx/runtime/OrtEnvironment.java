package org.parallelcomp.backend.onnx.runtime;

import java.lang.System.Logger.Level;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import org.jspecify.annotations.Nullable;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.backend.onnx.graph.Graph;

/**
 * The runtime's environment: log, threads and memory pool, which all sessions share. The runtime
 * has one per process, so open backends share it; the last one to close ends its threads.
 */
public final class OrtEnvironment implements AutoCloseable {
  private static final System.Logger LOG = System.getLogger(OrtEnvironment.class.getName());

  private static final int LOG_WARNING = 2;
  private static final int ARENA_ALLOCATOR = 1;

  private static @Nullable Shared shared;

  /** What the process has once. */
  private static final class Shared {
    private final Arena arena = Arena.ofShared();
    private final OrtApi api;
    private final int threads;
    private final MemorySegment handle;
    private final MemorySegment memoryInfo;
    private int users;

    Shared(OrtApi api, int threads) {
      this.api = api;
      this.threads = threads;
      MemorySegment options = api.create(OrtFunction.CREATE_THREADING_OPTIONS);
      try {
        api.call(OrtFunction.SET_GLOBAL_INTRA_OP_NUM_THREADS, options, threads);
        api.call(OrtFunction.SET_GLOBAL_INTER_OP_NUM_THREADS, options, 1);
        // A worker that sleeps between two operators costs more than the operators of a token.
        api.call(OrtFunction.SET_GLOBAL_SPIN_CONTROL, options, threads > 1 ? 1 : 0);
        handle =
            api.create(
                OrtFunction.CREATE_ENV_WITH_CUSTOM_LOGGER_AND_GLOBAL_THREAD_POOLS,
                logger(arena),
                MemorySegment.NULL,
                LOG_WARNING,
                arena.allocateFrom("parallelcomp"),
                options);
      } finally {
        api.release(OrtFunction.RELEASE_THREADING_OPTIONS, options);
      }
      api.call(OrtFunction.DISABLE_TELEMETRY_EVENTS, handle);
      memoryInfo = api.create(OrtFunction.CREATE_CPU_MEMORY_INFO, ARENA_ALLOCATOR, 0);
      registerAllocator();
    }

    /**
     * One pool of memory for all sessions, which grows by what is asked for and not by doubling.
     */
    private void registerAllocator() {
      try (Arena call = Arena.ofConfined()) {
        MemorySegment keys = call.allocate(ValueLayout.ADDRESS);
        keys.set(ValueLayout.ADDRESS, 0, call.allocateFrom("arena_extend_strategy"));
        MemorySegment values = call.allocateFrom(ValueLayout.JAVA_LONG, 1);
        MemorySegment config = api.create(OrtFunction.CREATE_ARENA_CFG_V2, keys, values, 1L);
        try {
          api.call(OrtFunction.CREATE_AND_REGISTER_ALLOCATOR, handle, memoryInfo, config);
        } finally {
          api.release(OrtFunction.RELEASE_ARENA_CFG, config);
        }
      }
    }

    void close() {
      api.release(OrtFunction.RELEASE_MEMORY_INFO, memoryInfo);
      api.release(OrtFunction.RELEASE_ENV, handle);
      arena.close();
    }
  }

  private final Shared mine;
  private boolean closed;

  private OrtEnvironment(Shared mine) {
    this.mine = mine;
  }

  /**
   * Opens the environment, or joins it.
   *
   * @param threads threads of every operator
   * @throws InferenceException INVALID_ARGUMENT if it is open with another number of threads
   */
  public static synchronized OrtEnvironment open(OrtLibrary library, int threads) {
    if (shared == null) {
      shared = new Shared(library.api(), threads);
    } else if (shared.threads != threads) {
      throw new InferenceException(
          ErrorCode.INVALID_ARGUMENT,
          "ONNX Runtime shares its threads between all users of a process, and runs with "
              + shared.threads
              + "; open it with as many, not with "
              + threads
              + ", or close the other backend first.");
    }
    shared.users++;
    return new OrtEnvironment(shared);
  }

  OrtApi api() {
    return mine.api;
  }

  MemorySegment handle() {
    return mine.handle;
  }

  MemorySegment memoryInfo() {
    return mine.memoryInfo;
  }

  /** Makes a session that can run a graph. */
  public OrtSession session(Graph graph, OrtSettings settings) {
    return new OrtSession(this, graph, settings);
  }

  private static MemorySegment logger(Arena arena) {
    try {
      var type =
          MethodType.methodType(
              void.class,
              MemorySegment.class,
              int.class,
              MemorySegment.class,
              MemorySegment.class,
              MemorySegment.class,
              MemorySegment.class);
      return Linker.nativeLinker()
          .upcallStub(
              MethodHandles.lookup().findStatic(OrtEnvironment.class, "log", type),
              FunctionDescriptor.ofVoid(
                  ValueLayout.ADDRESS,
                  ValueLayout.JAVA_INT,
                  ValueLayout.ADDRESS,
                  ValueLayout.ADDRESS,
                  ValueLayout.ADDRESS,
                  ValueLayout.ADDRESS),
              arena);
    } catch (NoSuchMethodException | IllegalAccessException e) {
      throw new AssertionError(e);
    }
  }

  /** Hears the runtime's log. What fails is thrown by the call that failed, too. */
  @SuppressWarnings("unused")
  private static void log(
      MemorySegment parameter,
      int severity,
      MemorySegment category,
      MemorySegment id,
      MemorySegment place,
      MemorySegment message) {
    Level level =
        switch (severity) {
          case 0 -> Level.TRACE;
          case 1 -> Level.DEBUG;
          default -> Level.WARNING;
        };
    LOG.log(level, () -> OrtApi.string(id) + ": " + OrtApi.string(message));
  }

  @Override
  public void close() {
    synchronized (OrtEnvironment.class) {
      if (!closed) {
        closed = true;
        if (--mine.users == 0) {
          mine.close();
          shared = null;
        }
      }
    }
  }
}
