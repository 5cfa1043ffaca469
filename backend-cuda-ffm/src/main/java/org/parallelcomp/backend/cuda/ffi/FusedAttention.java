package org.parallelcomp.backend.cuda.ffi;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.LongStream;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.backend.cuda.bindings.Cudnn;

/**
 * Attention of many rows by cuDNN's fused kernel: a graph of products, mask and softmax that the
 * library recognises as a whole. Its form follows NVIDIA's cudnn-frontend for cuDNN 9; the library
 * refuses graphs of another form. A graph serves every length up to its rows and keys; building one
 * takes up to a second, so graphs are kept.
 */
public final class FusedAttention extends NativeOwner {
  private static final int ROW_AXIS = 2;
  private static final int KEY_AXIS = 3;

  private final CudaStream stream;
  private final Arena arena = Arena.ofShared();
  private final MemorySegment minusInfinity =
      arena.allocateFrom(ValueLayout.JAVA_FLOAT, Float.NEGATIVE_INFINITY);
  private final Map<Key, Optional<Graph>> graphs = new HashMap<>();

  private FusedAttention(CudaStream stream, MemorySegment handle) {
    super(handle);
    this.stream = stream;
  }

  /** Opens the library, which must be loaded, for attention in one stream. */
  public static FusedAttention open(CudaStream stream) {
    stream.context().makeCurrent();
    MemorySegment handle = Slots.pointer(Library.CUDNN, "cudnnCreate", Cudnn::cudnnCreate);
    Library.CUDNN.check("cudnnSetStream", Cudnn.cudnnSetStream(handle, stream.handle()));
    return new FusedAttention(stream, handle);
  }

  /** The element type of queries, keys, values and output. */
  public enum Type {
    /** Half precision. */
    F16,
    /** The upper half of single precision. */
    BF16
  }

  /**
   * The shape of an attention, whose rows and keys are upper bounds.
   *
   * <pre>
   * out, queries  [rows, queryHeads, headDim]   without gaps
   * keys, values  [kvHeads, keys, headDim]      without gaps
   * logSumExp     [queryHeads, rows]            without gaps
   * </pre>
   *
   * @param causal whether the newest keys are the rows' own, so that a row does not see those of
   *     later rows; otherwise every row sees all keys
   */
  public record Key(
      Type type, int rows, int keys, int queryHeads, int kvHeads, int headDim, boolean causal) {}

  /** Returns whether the library has a kernel for a shape; builds its graph. */
  public synchronized boolean supports(Key key) {
    stream.context().makeCurrent();
    return graphs.computeIfAbsent(key, this::build).isPresent();
  }

  /**
   * Puts an attention into the stream. All arguments but the shape and the scale are addresses on
   * the device.
   *
   * @param key a shape that is supported
   * @param rows I32, how many rows there are, at least one
   * @param keys I32, how many keys they see, if causal at least as many as rows
   */
  public synchronized void attend(
      Key key,
      float scale,
      long out,
      long logSumExp,
      long queries,
      long keyAddress,
      long values,
      long rows,
      long keys) {
    stream.context().makeCurrent();
    Graph graph = graphs.computeIfAbsent(key, this::build).orElseThrow();
    try (Arena local = Arena.ofConfined();
        DeviceMemory workspace = DeviceMemory.allocate(stream, graph.workspaceBytes);
        Descriptor pack = new Descriptor(Cudnn.CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR())) {
      // What is passed by value is read from the host when the call is made.
      long factor = local.allocateFrom(ValueLayout.JAVA_FLOAT, scale).address();
      long[] addresses = {
        queries, keyAddress, values, out, logSumExp, rows, keys, factor, minusInfinity.address()
      };
      pack.longs(
          Cudnn.CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS(),
          LongStream.rangeClosed(1, addresses.length).toArray());
      pack.pointers(Cudnn.CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS(), addresses);
      pack.pointers(Cudnn.CUDNN_ATTR_VARIANT_PACK_WORKSPACE(), workspace.address());
      pack.finish();
      stream.handle(); // The library has it since it was opened, so it must be asked for here.
      Library.CUDNN.check(
          "cudnnBackendExecute",
          Cudnn.cudnnBackendExecute(handle(), graph.plan.handle(), pack.handle()));
    }
  }

  private Optional<Graph> build(Key key) {
    var builder = new Builder(handle(), key);
    try {
      return Optional.of(builder.build());
    } catch (InferenceException refusal) {
      builder.close();
      return Optional.empty();
    }
  }

  @Override
  void release(MemorySegment held) {
    stream.context().makeCurrent();
    stream.synchronize();
    graphs.values().forEach(graph -> graph.ifPresent(Graph::close));
    graphs.clear();
    Library.CUDNN.check("cudnnDestroy", Cudnn.cudnnDestroy(held));
    arena.close();
  }

  /** A plan that can be executed, and the descriptors that it refers to. */
  private record Graph(Descriptor plan, long workspaceBytes, List<Descriptor> descriptors) {
    void close() {
      closeBackwards(descriptors);
    }
  }

  private static void closeBackwards(List<Descriptor> descriptors) {
    descriptors.reversed().forEach(Descriptor::close);
  }

  /** A descriptor of the library's backend: attributes are set, then it is finished. */
  private static final class Descriptor extends NativeOwner {
    Descriptor(int kind) {
      super(
          Slots.pointer(
              Library.CUDNN,
              "cudnnBackendCreateDescriptor",
              out -> Cudnn.cudnnBackendCreateDescriptor(kind, out)));
    }

    private void set(int attribute, int type, long count, MemorySegment values) {
      Library.CUDNN.check(
          "cudnnBackendSetAttribute",
          Cudnn.cudnnBackendSetAttribute(handle(), attribute, type, count, values));
    }

    void enumeration(int attribute, int type, int value) {
      try (Arena local = Arena.ofConfined()) {
        set(attribute, type, 1, local.allocateFrom(ValueLayout.JAVA_INT, value));
      }
    }

    void dataType(int attribute, int value) {
      enumeration(attribute, Cudnn.CUDNN_TYPE_DATA_TYPE(), value);
    }

    void bool(int attribute, boolean value) {
      try (Arena local = Arena.ofConfined()) {
        byte number = (byte) (value ? 1 : 0);
        MemorySegment slot = local.allocateFrom(ValueLayout.JAVA_BYTE, number);
        set(attribute, Cudnn.CUDNN_TYPE_BOOLEAN(), 1, slot);
      }
    }

    void number(int attribute, float value) {
      try (Arena local = Arena.ofConfined()) {
        MemorySegment slot = local.allocateFrom(ValueLayout.JAVA_FLOAT, value);
        set(attribute, Cudnn.CUDNN_TYPE_FLOAT(), 1, slot);
      }
    }

    void number(int attribute, double value) {
      try (Arena local = Arena.ofConfined()) {
        MemorySegment slot = local.allocateFrom(ValueLayout.JAVA_DOUBLE, value);
        set(attribute, Cudnn.CUDNN_TYPE_DOUBLE(), 1, slot);
      }
    }

    void longs(int attribute, long... values) {
      try (Arena local = Arena.ofConfined()) {
        MemorySegment list = local.allocateFrom(ValueLayout.JAVA_LONG, values);
        set(attribute, Cudnn.CUDNN_TYPE_INT64(), values.length, list);
      }
    }

    void pointers(int attribute, long... addresses) {
      try (Arena local = Arena.ofConfined()) {
        MemorySegment list = local.allocateFrom(ValueLayout.JAVA_LONG, addresses);
        set(attribute, Cudnn.CUDNN_TYPE_VOID_PTR(), addresses.length, list);
      }
    }

    void library(int attribute, MemorySegment libraryHandle) {
      try (Arena local = Arena.ofConfined()) {
        MemorySegment slot = local.allocateFrom(ValueLayout.ADDRESS, libraryHandle);
        set(attribute, Cudnn.CUDNN_TYPE_HANDLE(), 1, slot);
      }
    }

    void descriptors(int attribute, List<Descriptor> values) {
      try (Arena local = Arena.ofConfined()) {
        MemorySegment list = list(local, values);
        set(attribute, Cudnn.CUDNN_TYPE_BACKEND_DESCRIPTOR(), values.size(), list);
      }
    }

    static MemorySegment list(Arena arena, List<Descriptor> values) {
      MemorySegment list = arena.allocate(ValueLayout.ADDRESS, values.size());
      for (int i = 0; i < values.size(); i++) {
        list.setAtIndex(ValueLayout.ADDRESS, i, values.get(i).handle());
      }
      return list;
    }

    void descriptor(int attribute, Descriptor value) {
      descriptors(attribute, List.of(value));
    }

    void finish() {
      Library.CUDNN.check("cudnnBackendFinalize", Cudnn.cudnnBackendFinalize(handle()));
    }

    @Override
    void release(MemorySegment held) {
      Library.CUDNN.check(
          "cudnnBackendDestroyDescriptor", Cudnn.cudnnBackendDestroyDescriptor(held));
    }
  }

  /** Composes one graph. */
  private static final class Builder {
    private static final int FLOAT = Cudnn.CUDNN_DATA_FLOAT();
    private static final int INT = Cudnn.CUDNN_DATA_INT32();
    private static final int BOOLEAN = Cudnn.CUDNN_DATA_BOOLEAN();
    private static final long[] SCALAR = {1, 1, 1, 1};
    private static final int ALIGNMENT_BYTES = 16;

    private enum Place {
      DEVICE,
      VIRTUAL,
      BY_VALUE
    }

    private final MemorySegment library;
    private final Key key;
    private final int half;
    private final List<Descriptor> all = new ArrayList<>();
    private final List<Descriptor> operations = new ArrayList<>();
    private long nextId = 1;

    Builder(MemorySegment library, Key key) {
      this.library = library;
      this.key = key;
      this.half = key.type == Type.BF16 ? Cudnn.CUDNN_DATA_BFLOAT16() : Cudnn.CUDNN_DATA_HALF();
    }

    void close() {
      closeBackwards(all);
    }

    private Descriptor descriptor(int kind) {
      var descriptor = new Descriptor(kind);
      all.add(descriptor);
      return descriptor;
    }

    private Descriptor tensor(int type, Place place, long[] dims, long... strides) {
      Descriptor tensor = descriptor(Cudnn.CUDNN_BACKEND_TENSOR_DESCRIPTOR());
      tensor.dataType(Cudnn.CUDNN_ATTR_TENSOR_DATA_TYPE(), type);
      tensor.longs(Cudnn.CUDNN_ATTR_TENSOR_DIMENSIONS(), dims);
      tensor.longs(Cudnn.CUDNN_ATTR_TENSOR_STRIDES(), strides);
      tensor.longs(Cudnn.CUDNN_ATTR_TENSOR_UNIQUE_ID(), nextId++);
      tensor.longs(Cudnn.CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT(), ALIGNMENT_BYTES);
      if (place == Place.VIRTUAL) {
        tensor.bool(Cudnn.CUDNN_ATTR_TENSOR_IS_VIRTUAL(), true);
      } else if (place == Place.BY_VALUE) {
        tensor.bool(Cudnn.CUDNN_ATTR_TENSOR_IS_BY_VALUE(), true);
      }
      tensor.finish();
      return tensor;
    }

    /** An intermediate result for every row and key. */
    private Descriptor scores(int type) {
      long rows = key.rows;
      long keys = key.keys;
      return tensor(
          type,
          Place.VIRTUAL,
          new long[] {1, key.queryHeads, rows, keys},
          key.queryHeads * rows * keys,
          rows * keys,
          keys,
          1);
    }

    /** A number for every row. */
    private Descriptor ofRows(Place place) {
      long rows = key.rows;
      return tensor(
          FLOAT, place, new long[] {1, key.queryHeads, rows, 1}, key.queryHeads * rows, rows, 1, 1);
    }

    /** {@code out = mode(x, b)}, or {@code t ? x : b}. */
    private Descriptor pointwise(
        int mode, int precision, int axis, Descriptor out, Descriptor x, Descriptor... others) {
      Descriptor pointwise = descriptor(Cudnn.CUDNN_BACKEND_POINTWISE_DESCRIPTOR());
      pointwise.enumeration(
          Cudnn.CUDNN_ATTR_POINTWISE_MODE(), Cudnn.CUDNN_TYPE_POINTWISE_MODE(), mode);
      pointwise.dataType(Cudnn.CUDNN_ATTR_POINTWISE_MATH_PREC(), precision);
      if (axis > 0) {
        pointwise.longs(Cudnn.CUDNN_ATTR_POINTWISE_AXIS(), axis);
      }
      pointwise.finish();
      Descriptor operation = descriptor(Cudnn.CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR());
      operation.descriptor(Cudnn.CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR(), pointwise);
      operation.descriptor(Cudnn.CUDNN_ATTR_OPERATION_POINTWISE_XDESC(), x);
      if (others.length > 0) {
        operation.descriptor(Cudnn.CUDNN_ATTR_OPERATION_POINTWISE_BDESC(), others[0]);
      }
      if (others.length > 1) {
        operation.descriptor(Cudnn.CUDNN_ATTR_OPERATION_POINTWISE_TDESC(), others[1]);
      }
      operation.descriptor(Cudnn.CUDNN_ATTR_OPERATION_POINTWISE_YDESC(), out);
      operation.number(Cudnn.CUDNN_ATTR_OPERATION_POINTWISE_ALPHA1(), 1f);
      operation.number(Cudnn.CUDNN_ATTR_OPERATION_POINTWISE_ALPHA2(), 1f);
      return add(operation, out);
    }

    private Descriptor pointwise(int mode, Descriptor out, Descriptor x, Descriptor... others) {
      return pointwise(mode, FLOAT, 0, out, x, others);
    }

    private Descriptor logical(int mode, Descriptor x, Descriptor other) {
      return pointwise(mode, BOOLEAN, 0, scores(BOOLEAN), x, other);
    }

    private Descriptor index(Descriptor like, int axis, int precision) {
      return pointwise(Cudnn.CUDNN_POINTWISE_GEN_INDEX(), precision, axis, scores(INT), like);
    }

    private Descriptor add(Descriptor operation, Descriptor out) {
      operation.finish();
      operations.add(operation);
      return out;
    }

    private Descriptor reduction(int operator, Descriptor in) {
      Descriptor reduction = descriptor(Cudnn.CUDNN_BACKEND_REDUCTION_DESCRIPTOR());
      reduction.dataType(Cudnn.CUDNN_ATTR_REDUCTION_COMP_TYPE(), FLOAT);
      reduction.enumeration(
          Cudnn.CUDNN_ATTR_REDUCTION_OPERATOR(),
          Cudnn.CUDNN_TYPE_REDUCTION_OPERATOR_TYPE(),
          operator);
      reduction.finish();
      Descriptor out = ofRows(Place.VIRTUAL);
      Descriptor operation = descriptor(Cudnn.CUDNN_BACKEND_OPERATION_REDUCTION_DESCRIPTOR());
      operation.descriptor(Cudnn.CUDNN_ATTR_OPERATION_REDUCTION_DESC(), reduction);
      operation.descriptor(Cudnn.CUDNN_ATTR_OPERATION_REDUCTION_XDESC(), in);
      operation.descriptor(Cudnn.CUDNN_ATTR_OPERATION_REDUCTION_YDESC(), out);
      return add(operation, out);
    }

    /**
     * {@code out = a · b}, of which only so many rows count.
     *
     * @param keysAttribute which extent of the product the number of keys is
     */
    private Descriptor product(
        Descriptor a,
        Descriptor b,
        Descriptor out,
        boolean padded,
        Descriptor rows,
        int keysAttribute,
        Descriptor keys) {
      Descriptor product = descriptor(Cudnn.CUDNN_BACKEND_MATMUL_DESCRIPTOR());
      product.dataType(Cudnn.CUDNN_ATTR_MATMUL_COMP_TYPE(), FLOAT);
      if (padded) {
        product.number(Cudnn.CUDNN_ATTR_MATMUL_PADDING_VALUE(), 0.0);
      }
      product.finish();
      Descriptor operation = descriptor(Cudnn.CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR());
      operation.descriptor(Cudnn.CUDNN_ATTR_OPERATION_MATMUL_ADESC(), a);
      operation.descriptor(Cudnn.CUDNN_ATTR_OPERATION_MATMUL_BDESC(), b);
      operation.descriptor(Cudnn.CUDNN_ATTR_OPERATION_MATMUL_CDESC(), out);
      operation.descriptor(Cudnn.CUDNN_ATTR_OPERATION_MATMUL_DESC(), product);
      operation.descriptor(Cudnn.CUDNN_ATTR_OPERATION_MATMUL_GEMM_M_OVERRIDE_DESC(), rows);
      operation.descriptor(keysAttribute, keys);
      return add(operation, out);
    }

    Graph build() {
      long queryHeads = key.queryHeads;
      long kvHeads = key.kvHeads;
      long rows = key.rows;
      long keys = key.keys;
      long dim = key.headDim;
      // In the order of the addresses of a call: their numbers are 1, 2, …
      long[] rowDims = {1, queryHeads, rows, dim};
      Descriptor query =
          tensor(half, Place.DEVICE, rowDims, rows * queryHeads * dim, dim, queryHeads * dim, 1);
      Descriptor keyTransposed =
          tensor(
              half,
              Place.DEVICE,
              new long[] {1, kvHeads, dim, keys},
              kvHeads * keys * dim,
              keys * dim,
              1,
              dim);
      Descriptor value =
          tensor(
              half,
              Place.DEVICE,
              new long[] {1, kvHeads, keys, dim},
              kvHeads * keys * dim,
              keys * dim,
              dim,
              1);
      Descriptor out =
          tensor(half, Place.DEVICE, rowDims, rows * queryHeads * dim, dim, queryHeads * dim, 1);
      Descriptor logSumExp = ofRows(Place.DEVICE);
      Descriptor rowCount = tensor(INT, Place.DEVICE, SCALAR, SCALAR);
      Descriptor keyCount = tensor(INT, Place.DEVICE, SCALAR, SCALAR);
      Descriptor scale = tensor(FLOAT, Place.BY_VALUE, SCALAR, SCALAR);
      Descriptor nothing = tensor(FLOAT, Place.BY_VALUE, SCALAR, SCALAR);

      Descriptor score =
          product(
              query,
              keyTransposed,
              scores(FLOAT),
              true,
              rowCount,
              Cudnn.CUDNN_ATTR_OPERATION_MATMUL_GEMM_N_OVERRIDE_DESC(),
              keyCount);
      score = pointwise(Cudnn.CUDNN_POINTWISE_MUL(), scores(FLOAT), score, scale);
      score = masked(score, nothing, existing(score, rowCount, keyCount));
      if (key.causal) {
        score = masked(score, nothing, notLater(score, rowCount, keyCount));
      }
      Descriptor most = reduction(Cudnn.CUDNN_REDUCE_TENSOR_MAX(), score);
      Descriptor exponent = pointwise(Cudnn.CUDNN_POINTWISE_SUB(), scores(FLOAT), score, most);
      Descriptor weight = pointwise(Cudnn.CUDNN_POINTWISE_EXP(), scores(FLOAT), exponent);
      Descriptor sum = reduction(Cudnn.CUDNN_REDUCE_TENSOR_ADD(), weight);
      Descriptor log = pointwise(Cudnn.CUDNN_POINTWISE_LOG(), ofRows(Place.VIRTUAL), sum);
      pointwise(Cudnn.CUDNN_POINTWISE_ADD(), logSumExp, most, log);
      Descriptor probability = pointwise(Cudnn.CUDNN_POINTWISE_DIV(), scores(half), weight, sum);
      product(
          probability,
          value,
          out,
          false,
          rowCount,
          Cudnn.CUDNN_ATTR_OPERATION_MATMUL_GEMM_K_OVERRIDE_DESC(),
          keyCount);
      return plan();
    }

    /** Whether a row and a key are there at all. */
    private Descriptor existing(Descriptor score, Descriptor rowCount, Descriptor keyCount) {
      Descriptor row = index(score, ROW_AXIS, INT);
      Descriptor column = index(score, KEY_AXIS, INT);
      return logical(
          Cudnn.CUDNN_POINTWISE_LOGICAL_AND(),
          logical(Cudnn.CUDNN_POINTWISE_CMP_LT(), row, rowCount),
          logical(Cudnn.CUDNN_POINTWISE_CMP_LT(), column, keyCount));
    }

    /** Whether a key is not of a later row: {@code row + keys - rows >= key}. */
    private Descriptor notLater(Descriptor score, Descriptor rowCount, Descriptor keyCount) {
      Descriptor row = index(score, ROW_AXIS, FLOAT);
      Descriptor column = index(score, KEY_AXIS, FLOAT);
      row = pointwise(Cudnn.CUDNN_POINTWISE_ADD(), INT, KEY_AXIS, scores(INT), row, keyCount);
      row = pointwise(Cudnn.CUDNN_POINTWISE_SUB(), INT, KEY_AXIS, scores(INT), row, rowCount);
      return logical(Cudnn.CUDNN_POINTWISE_CMP_GE(), row, column);
    }

    private Descriptor masked(Descriptor score, Descriptor nothing, Descriptor visible) {
      return pointwise(
          Cudnn.CUDNN_POINTWISE_BINARY_SELECT(), scores(FLOAT), score, nothing, visible);
    }

    /** Takes the engine that the library proposes first. */
    private Graph plan() {
      Descriptor graph = descriptor(Cudnn.CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR());
      graph.descriptors(Cudnn.CUDNN_ATTR_OPERATIONGRAPH_OPS(), operations);
      graph.library(Cudnn.CUDNN_ATTR_OPERATIONGRAPH_HANDLE(), library);
      graph.finish();
      Descriptor heuristics = descriptor(Cudnn.CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR());
      heuristics.descriptor(Cudnn.CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH(), graph);
      heuristics.enumeration(
          Cudnn.CUDNN_ATTR_ENGINEHEUR_MODE(),
          Cudnn.CUDNN_TYPE_HEUR_MODE(),
          Cudnn.CUDNN_HEUR_MODE_A());
      heuristics.finish();
      Descriptor engine = descriptor(Cudnn.CUDNN_BACKEND_ENGINECFG_DESCRIPTOR());
      try (Arena local = Arena.ofConfined()) {
        MemorySegment found = local.allocate(ValueLayout.JAVA_LONG);
        Library.CUDNN.check(
            "cudnnBackendGetAttribute",
            Cudnn.cudnnBackendGetAttribute(
                heuristics.handle(),
                Cudnn.CUDNN_ATTR_ENGINEHEUR_RESULTS(),
                Cudnn.CUDNN_TYPE_BACKEND_DESCRIPTOR(),
                1,
                found,
                Descriptor.list(local, List.of(engine))));
        Descriptor plan = descriptor(Cudnn.CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR());
        plan.library(Cudnn.CUDNN_ATTR_EXECUTION_PLAN_HANDLE(), library);
        plan.descriptor(Cudnn.CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG(), engine);
        plan.finish();
        MemorySegment bytes = local.allocate(ValueLayout.JAVA_LONG);
        Library.CUDNN.check(
            "cudnnBackendGetAttribute",
            Cudnn.cudnnBackendGetAttribute(
                plan.handle(),
                Cudnn.CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE(),
                Cudnn.CUDNN_TYPE_INT64(),
                1,
                found,
                bytes));
        return new Graph(plan, bytes.get(ValueLayout.JAVA_LONG, 0), List.copyOf(all));
      }
    }
  }
}
