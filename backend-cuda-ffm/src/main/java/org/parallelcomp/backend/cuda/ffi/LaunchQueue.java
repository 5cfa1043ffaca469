package org.parallelcomp.backend.cuda.ffi;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.parallelcomp.backend.cuda.bindings.CUlaunchConfig_st;
import org.parallelcomp.backend.cuda.bindings.CudaDriver;

/**
 * Launches on their way into a stream. They gather here until so many are there, or until something
 * else is put into the stream. A run of launches that came before, the same in every byte of every
 * argument, then goes to the device as one graph, which costs the host one call and the device less
 * between its kernels: so decoding, whose steps are alike, runs as graphs without anybody saying
 * where a step begins. Every other run goes launch by launch. Nothing is guessed: what is replayed
 * is what was asked for.
 *
 * <p>The first runs behind something else are short, so that the device soon has work.
 */
final class LaunchQueue implements AutoCloseable {
  private static final int SHORTEST_RUN = 8;
  private static final int LONGEST_RUN = 64;
  private static final int MOST_GRAPHS = 128;
  private static final int MOST_SEEN = 1024;

  /** A CUlaunchAttribute: its number, and at 8 a value of any kind. */
  private static final int ATTRIBUTE_BYTES = 72;

  private static final int ATTRIBUTE_VALUE = 8;

  private final CudaContext context;
  private final MemorySegment stream;
  private final Arena arena = Arena.ofShared();
  private final MemorySegment configuration = CUlaunchConfig_st.allocate(arena);
  private final MemorySegment pointers =
      arena.allocate(ValueLayout.JAVA_LONG, LaunchArguments.MOST_ARGUMENTS);
  private final MemorySegment values = arena.allocate(LaunchArguments.MOST_BYTES, 16);
  private final List<Launch> pending = new ArrayList<>();
  private final Map<List<Launch>, CudaGraph> graphs = new LinkedHashMap<>(16, 0.75f, true);

  /** Hashes of runs that came once. */
  private final LinkedHashSet<Integer> seen = new LinkedHashSet<>();

  private int runLength = SHORTEST_RUN;
  private @Nullable MemorySegment recordings;

  LaunchQueue(CudaContext context, MemorySegment stream) {
    this.context = context;
    this.stream = stream;
    MemorySegment startsEarly = arena.allocate(ATTRIBUTE_BYTES, 8);
    startsEarly.set(
        ValueLayout.JAVA_INT,
        0,
        CudaDriver.CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION());
    startsEarly.set(ValueLayout.JAVA_INT, ATTRIBUTE_VALUE, 1);
    CUlaunchConfig_st.attrs(configuration, startsEarly);
    CUlaunchConfig_st.numAttrs(configuration, context.device().startsEarly() ? 1 : 0);
    CUlaunchConfig_st.blockDimY(configuration, 1);
    CUlaunchConfig_st.blockDimZ(configuration, 1);
  }

  /** Adds a launch behind all others. */
  synchronized void add(Launch launch) {
    pending.add(launch);
    if (pending.size() == runLength) {
      runLength = Math.min(LONGEST_RUN, 2 * runLength);
      issue();
    }
  }

  /** Puts everything that gathered into the stream. */
  synchronized void flush() {
    runLength = SHORTEST_RUN;
    issue();
  }

  private void issue() {
    if (pending.isEmpty()) {
      return;
    }
    List<Launch> run = List.copyOf(pending);
    pending.clear();
    context.makeCurrent();
    CudaGraph graph = run.size() < SHORTEST_RUN ? null : graph(run);
    if (graph != null) {
      graph.launch(stream);
    } else {
      run.forEach(launch -> put(launch, stream));
    }
  }

  /** Returns the graph of a run that came before, or null of one that comes for the first time. */
  private @Nullable CudaGraph graph(List<Launch> run) {
    CudaGraph graph = graphs.get(run);
    if (graph == null && !seen.add(run.hashCode())) {
      graph = record(run);
      graphs.put(run, graph);
      removeEldest(graphs.values().iterator(), graphs.size() - MOST_GRAPHS);
    }
    removeEldest(seen.iterator(), seen.size() - MOST_SEEN);
    return graph;
  }

  private static <T> void removeEldest(Iterator<T> eldest, int count) {
    for (int i = 0; i < count; i++) {
      if (eldest.next() instanceof CudaGraph graph) {
        graph.close(); // Where it still runs, the driver waits for its end.
      }
      eldest.remove();
    }
  }

  /** Records in a stream of its own, into which nobody else can put anything meanwhile. */
  private CudaGraph record(List<Launch> run) {
    MemorySegment into = recordings;
    if (into == null) {
      into =
          Slots.pointer(
              Library.DRIVER,
              "cuStreamCreate",
              out -> CudaDriver.cuStreamCreate(out, CudaDriver.CU_STREAM_NON_BLOCKING()));
      recordings = into;
    }
    MemorySegment recording = into;
    return CudaGraph.record(context, recording, () -> run.forEach(l -> put(l, recording)));
  }

  private void put(Launch launch, MemorySegment into) {
    MemorySegment.copy(
        launch.values(), 0, values, ValueLayout.JAVA_LONG, 0, launch.values().length);
    int[] offsets = launch.offsets();
    for (int i = 0; i < offsets.length; i++) {
      pointers.setAtIndex(ValueLayout.JAVA_LONG, i, values.address() + offsets[i]);
    }
    CUlaunchConfig_st.gridDimX(configuration, Math.toIntExact(launch.grid().x()));
    CUlaunchConfig_st.gridDimY(configuration, Math.toIntExact(launch.grid().y()));
    CUlaunchConfig_st.gridDimZ(configuration, Math.toIntExact(launch.grid().z()));
    CUlaunchConfig_st.blockDimX(configuration, launch.threads());
    CUlaunchConfig_st.sharedMemBytes(configuration, launch.sharedBytes());
    CUlaunchConfig_st.hStream(configuration, into);
    Library.DRIVER.check(
        "cuLaunchKernelEx(" + launch.function().name() + ")",
        CudaDriver.cuLaunchKernelEx(
            configuration, launch.function().handle(), pointers, MemorySegment.NULL));
  }

  @Override
  public synchronized void close() {
    graphs.values().forEach(CudaGraph::close);
    graphs.clear();
    if (recordings != null) {
      Library.DRIVER.check("cuStreamDestroy_v2", CudaDriver.cuStreamDestroy_v2(recordings));
      recordings = null;
    }
    arena.close();
  }
}
