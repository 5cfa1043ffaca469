package org.parallelcomp.backend.onnx.runtime;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.concurrent.locks.ReentrantReadWriteLock;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.backend.onnx.graph.Graph;
import org.parallelcomp.backend.onnx.graph.Graph.InPlace;

/** A graph that is ready to run, on memory of the caller. Runs may overlap. */
public final class OrtSession implements AutoCloseable {
  private static final long ADDRESS_BYTES = ValueLayout.ADDRESS.byteSize();

  private final Arena arena = Arena.ofShared();
  private final OrtApi api;
  private final String name;
  private final MemorySegment memoryInfo;
  private final MemorySegment handle;
  private final MemorySegment inputNames;
  private final MemorySegment outputNames;
  private final int inputCount;
  private final int outputCount;
  private final boolean profiled;
  private final ReentrantReadWriteLock lock = new ReentrantReadWriteLock();
  private boolean closed;

  OrtSession(OrtEnvironment environment, Graph graph, OrtSettings settings) {
    this.api = environment.api();
    this.name = graph.name();
    this.memoryInfo = environment.memoryInfo();
    this.profiled = settings.profile() != null;
    this.inputNames = names(graph.inputNames());
    this.outputNames = names(graph.outputNames());
    this.inputCount = graph.inputNames().size();
    this.outputCount = graph.outputNames().size();
    // Shared, since weights are unpacked into the graph's bytes by several threads.
    try (Arena call = Arena.ofShared()) {
      MemorySegment options = SessionOptions.create(api, call, graph.name(), settings);
      try {
        addInitializers(call, options, graph.inPlace());
        MemorySegment bytes = graph.toBytes(call);
        this.handle =
            api.create(
                OrtFunction.CREATE_SESSION_FROM_ARRAY,
                environment.handle(),
                bytes,
                bytes.byteSize(),
                options);
      } finally {
        api.release(OrtFunction.RELEASE_SESSION_OPTIONS, options);
      }
    }
  }

  private MemorySegment names(List<String> names) {
    MemorySegment pointers = arena.allocate(ValueLayout.ADDRESS, names.size());
    for (int i = 0; i < names.size(); i++) {
      pointers.setAtIndex(ValueLayout.ADDRESS, i, arena.allocateFrom(names.get(i)));
    }
    return pointers;
  }

  /** Hands weights over by their address; the values last no longer than the call. */
  private void addInitializers(Arena call, MemorySegment options, List<InPlace> initializers) {
    int count = initializers.size();
    if (count == 0) {
      return;
    }
    MemorySegment weightNames = call.allocate(ValueLayout.ADDRESS, count);
    MemorySegment values = call.allocate(ValueLayout.ADDRESS, count);
    int made = 0;
    try {
      for (InPlace weight : initializers) {
        var tensor = new OrtTensor(weight.type(), weight.data(), weight.dims());
        weightNames.setAtIndex(ValueLayout.ADDRESS, made, call.allocateFrom(weight.name()));
        values.setAtIndex(ValueLayout.ADDRESS, made, value(call, tensor));
        made++;
      }
      api.call(OrtFunction.ADD_EXTERNAL_INITIALIZERS, options, weightNames, values, (long) count);
    } finally {
      release(values, made);
    }
  }

  /**
   * Runs the graph.
   *
   * @param inputs in the order in which the graph declares them
   * @param outputs likewise; their extents must be those that the graph gives
   */
  public void run(List<OrtTensor> inputs, List<OrtTensor> outputs) {
    if (inputs.size() != inputCount || outputs.size() != outputCount) {
      throw new InferenceException(
          ErrorCode.INTERNAL,
          "The graph " + name + " takes " + inputCount + " and gives " + outputCount + " values.");
    }
    lock.readLock().lock();
    try (Arena call = Arena.ofConfined()) {
      if (closed) {
        throw new InferenceException(ErrorCode.INTERNAL, "The session of " + name + " is closed.");
      }
      int count = inputCount + outputCount;
      MemorySegment values = call.allocate(ValueLayout.ADDRESS, count);
      int made = 0;
      try {
        for (; made < count; made++) {
          OrtTensor tensor = made < inputCount ? inputs.get(made) : outputs.get(made - inputCount);
          values.setAtIndex(ValueLayout.ADDRESS, made, value(call, tensor));
        }
        api.run(
            handle,
            inputNames,
            values,
            inputCount,
            outputNames,
            outputCount,
            values.asSlice(inputCount * ADDRESS_BYTES));
      } finally {
        release(values, made);
      }
    } finally {
      lock.readLock().unlock();
    }
  }

  private MemorySegment value(Arena call, OrtTensor tensor) {
    long[] dims = tensor.dims();
    return api.createTensor(
        call,
        memoryInfo,
        tensor.data(),
        tensor.bytes(),
        dims.length == 0 ? MemorySegment.NULL : call.allocateFrom(ValueLayout.JAVA_LONG, dims),
        dims.length,
        tensor.type().number());
  }

  private void release(MemorySegment values, int count) {
    for (int i = 0; i < count; i++) {
      api.releaseValue(values.getAtIndex(ValueLayout.ADDRESS, i));
    }
  }

  /** Waits for running calls and frees the session. Closing twice is harmless. */
  @Override
  public void close() {
    lock.writeLock().lock();
    try {
      if (closed) {
        return;
      }
      closed = true;
      if (profiled) {
        MemorySegment allocator = api.create(OrtFunction.GET_DEFAULT_ALLOCATOR);
        MemorySegment file = api.create(OrtFunction.SESSION_END_PROFILING, handle, allocator);
        api.call(OrtFunction.ALLOCATOR_FREE, allocator, file);
      }
      api.release(OrtFunction.RELEASE_SESSION, handle);
      arena.close();
    } finally {
      lock.writeLock().unlock();
    }
  }
}
