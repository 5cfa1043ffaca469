package org.parallelcomp.backend.onnx;

import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.LongAdder;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.parallelcomp.api.tensor.Tensor;
import org.parallelcomp.backend.host.HostMemory;
import org.parallelcomp.backend.onnx.graph.Graph;
import org.parallelcomp.backend.onnx.runtime.OrtEnvironment;
import org.parallelcomp.backend.onnx.runtime.OrtSession;
import org.parallelcomp.backend.onnx.runtime.OrtTensor;

/**
 * The sessions of a backend: one for each operation, its form, and the weights that are constant in
 * it. Extents that change from call to call have names in the graphs, so that a new length does not
 * make a new session.
 */
final class Sessions implements AutoCloseable {
  /** Weights are known by their memory: an address alone may come back after its scope closed. */
  private record Place(MemorySegment.Scope scope, long address) {}

  private record Key(Object form, List<Place> weights) {}

  private final HostMemory memory;
  private final OrtEnvironment environment;
  private final OnnxOptions options;
  private final Map<Key, OrtSession> sessions = new ConcurrentHashMap<>();
  private final AtomicInteger built = new AtomicInteger();
  private final LongAdder runs = new LongAdder();
  private final LongAdder copiedBytes = new LongAdder();

  Sessions(HostMemory memory, OrtEnvironment environment, OnnxOptions options) {
    this.memory = memory;
    this.environment = environment;
    this.options = options;
  }

  /** Returns the memory of the backend. */
  HostMemory memory() {
    return memory;
  }

  /** Returns whether graphs run on the processor, not on a device. */
  boolean onProcessor() {
    return options.sessions().provider().equals("cpu");
  }

  /** Runs an operation without weights. */
  void run(Object form, Supplier<Graph> graph, List<OrtTensor> inputs, List<OrtTensor> outputs) {
    run(form, List.of(), graph, inputs, outputs);
  }

  /**
   * Runs an operation.
   *
   * @param form all that makes its graph another one, but the weights; looked up by its equality
   * @param weights what is constant in the graph; the session ends with the memory of the first
   * @param graph makes the graph when it runs for the first time
   */
  void run(
      Object form,
      List<? extends @Nullable Tensor> weights,
      Supplier<Graph> graph,
      List<OrtTensor> inputs,
      List<OrtTensor> outputs) {
    var places = new ArrayList<Place>(weights.size());
    for (Tensor weight : weights) {
      MemorySegment data = memory.tensor(weight).data();
      places.add(new Place(data.scope(), data.address()));
    }
    var key = new Key(form, places);
    OrtSession session = sessions.get(key);
    if (session == null) {
      session = sessions.computeIfAbsent(key, _ -> build(key, weights, graph.get()));
    }
    session.run(inputs, outputs);
    runs.increment();
  }

  private OrtSession build(Key key, List<? extends @Nullable Tensor> weights, Graph graph) {
    int number = built.incrementAndGet();
    if (options.export() != null) {
      graph.writeTo(Path.of(options.export()), "%03d-%s.onnx".formatted(number, graph.name()));
    }
    OrtSession session = environment.session(graph, options.sessions());
    if (!weights.isEmpty()) {
      memory
          .tensor(weights.getFirst())
          .owner()
          .beforeClose(
              () -> {
                sessions.remove(key);
                session.close();
              });
    }
    return session;
  }

  /** Counts bytes that had to be copied because a view has gaps. */
  void countCopy(long bytes) {
    copiedBytes.add(bytes);
  }

  /** Returns how many sessions were made. */
  int built() {
    return built.get();
  }

  /** Returns how many times graphs were run. */
  long runs() {
    return runs.sum();
  }

  /** Returns how many bytes were copied to or from views with gaps. */
  long copiedBytes() {
    return copiedBytes.sum();
  }

  @Override
  public void close() {
    sessions.values().forEach(OrtSession::close);
    sessions.clear();
  }
}
