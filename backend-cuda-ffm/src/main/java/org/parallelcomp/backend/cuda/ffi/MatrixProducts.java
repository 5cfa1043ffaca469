package org.parallelcomp.backend.cuda.ffi;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.HashMap;
import java.util.Map;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.backend.cuda.bindings.CublasLt;
import org.parallelcomp.backend.cuda.bindings.cublasLtMatmulHeuristicResult_t;

/**
 * Matrix products by cuBLASLt: {@code out = in · weightᵀ (+ out)}, accumulated in F32. Descriptors
 * and the algorithm are looked up once for each shape.
 */
public final class MatrixProducts extends NativeOwner {
  /** What NVIDIA advises for Hopper. */
  private static final long WORKSPACE_BYTES = 32L << 20;

  private final CudaStream stream;
  private final DeviceMemory workspace;
  private final Arena arena = Arena.ofShared();
  private final MemorySegment one = arena.allocateFrom(ValueLayout.JAVA_FLOAT, 1);
  private final MemorySegment zero = arena.allocateFrom(ValueLayout.JAVA_FLOAT, 0);
  private final Map<Key, Plan> plans = new HashMap<>();

  private MatrixProducts(CudaStream stream, MemorySegment handle, DeviceMemory workspace) {
    super(handle);
    this.stream = stream;
    this.workspace = workspace;
  }

  /** Opens the library for products in one stream. */
  public static MatrixProducts open(CudaStream stream) {
    stream.context().makeCurrent();
    MemorySegment handle =
        Slots.pointer(Library.CUBLAS_LT, "cublasLtCreate", CublasLt::cublasLtCreate);
    return new MatrixProducts(stream, handle, DeviceMemory.allocate(stream, WORKSPACE_BYTES));
  }

  /** The element type of a matrix. */
  public enum Type {
    /** Single precision. */
    F32(CublasLt.CUDA_R_32F(), 4),
    /** Half precision. */
    F16(CublasLt.CUDA_R_16F(), 2),
    /** The upper half of single precision. */
    BF16(CublasLt.CUDA_R_16BF(), 2);

    private final int code;
    private final int bytes;

    Type(int code, int bytes) {
      this.code = code;
      this.bytes = bytes;
    }

    /** Returns the bytes of an element. */
    public int bytes() {
      return bytes;
    }
  }

  /** How F32 operands are multiplied; 16-bit ones are multiplied as they are. */
  public enum Precision {
    /** As they are. */
    FULL(CublasLt.CUBLAS_COMPUTE_32F()),
    /** Cut to 10 bits behind the leading one (TF32), on the matrix units. */
    TF32(CublasLt.CUBLAS_COMPUTE_32F_FAST_TF32());

    private final int code;

    Precision(int code) {
      this.code = code;
    }
  }

  /**
   * The shape of a product. Strides count elements from one row to the next.
   *
   * <pre>
   * out    [rows, outputDim]      of outType
   * weight [outputDim, inputDim]  of inType
   * in     [rows, inputDim]       of inType
   * </pre>
   */
  public record Key(
      Type inType,
      Type outType,
      Precision precision,
      int rows,
      int outputDim,
      int inputDim,
      long outRow,
      long weightRow,
      long inRow) {
    /**
     * Returns whether matrices of this shape at these addresses have the alignment that every
     * algorithm of the library takes.
     */
    public boolean aligned(long out, long weight, long in) {
      return aligned(in, inRow, inType)
          && aligned(weight, weightRow, inType)
          && aligned(out, outRow, outType)
          && (long) inputDim * inType.bytes % 16 == 0;
    }

    private static boolean aligned(long address, long row, Type type) {
      return address % 16 == 0 && row * type.bytes % 16 == 0;
    }
  }

  private record Plan(
      MemorySegment description,
      MemorySegment weight,
      MemorySegment in,
      MemorySegment out,
      MemorySegment algorithm) {}

  /**
   * Puts a product into the stream.
   *
   * <p>One at a time: a product may be several launches that hand on partial sums in the workspace,
   * and another thread's must not come between.
   *
   * @param accumulate whether it is added to what stands in the output
   */
  public synchronized void multiply(Key key, long out, long weight, long in, boolean accumulate) {
    stream.context().makeCurrent();
    Plan plan = plans.computeIfAbsent(key, this::plan);
    Library.CUBLAS_LT.check(
        "cublasLtMatmul",
        CublasLt.cublasLtMatmul(
            handle(),
            plan.description,
            one,
            MemorySegment.ofAddress(weight),
            plan.weight,
            MemorySegment.ofAddress(in),
            plan.in,
            accumulate ? one : zero,
            MemorySegment.ofAddress(out),
            plan.out,
            MemorySegment.ofAddress(out),
            plan.out,
            plan.algorithm,
            MemorySegment.ofAddress(workspace.address()),
            WORKSPACE_BYTES,
            stream.handle()));
  }

  /**
   * The library counts columns first, so a matrix of ours in rows is its transpose there: it
   * computes {@code outᵀ = (weightᵀ)ᵀ · inᵀ}.
   */
  private Plan plan(Key key) {
    MemorySegment description =
        Slots.pointer(
            Library.CUBLAS_LT,
            "cublasLtMatmulDescCreate",
            out ->
                CublasLt.cublasLtMatmulDescCreate(out, key.precision.code, CublasLt.CUDA_R_32F()));
    setAttribute(description, CublasLt.CUBLASLT_MATMUL_DESC_TRANSA(), CublasLt.CUBLAS_OP_T());
    setAttribute(description, CublasLt.CUBLASLT_MATMUL_DESC_TRANSB(), CublasLt.CUBLAS_OP_N());
    MemorySegment weight = layout(key.inType, key.inputDim, key.outputDim, key.weightRow);
    MemorySegment in = layout(key.inType, key.inputDim, key.rows, key.inRow);
    MemorySegment out = layout(key.outType, key.outputDim, key.rows, key.outRow);
    return new Plan(description, weight, in, out, algorithm(key, description, weight, in, out));
  }

  private static void setAttribute(MemorySegment description, int attribute, int value) {
    try (Arena local = Arena.ofConfined()) {
      Library.CUBLAS_LT.check(
          "cublasLtMatmulDescSetAttribute",
          CublasLt.cublasLtMatmulDescSetAttribute(
              description, attribute, local.allocateFrom(ValueLayout.JAVA_INT, value), 4));
    }
  }

  private static MemorySegment layout(Type type, long rows, long columns, long stride) {
    return Slots.pointer(
        Library.CUBLAS_LT,
        "cublasLtMatrixLayoutCreate",
        slot -> CublasLt.cublasLtMatrixLayoutCreate(slot, type.code, rows, columns, stride));
  }

  private MemorySegment algorithm(
      Key key,
      MemorySegment description,
      MemorySegment weight,
      MemorySegment in,
      MemorySegment out) {
    MemorySegment preference =
        Slots.pointer(
            Library.CUBLAS_LT,
            "cublasLtMatmulPreferenceCreate",
            CublasLt::cublasLtMatmulPreferenceCreate);
    try (Arena local = Arena.ofConfined()) {
      Library.CUBLAS_LT.check(
          "cublasLtMatmulPreferenceSetAttribute",
          CublasLt.cublasLtMatmulPreferenceSetAttribute(
              preference,
              CublasLt.CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES(),
              local.allocateFrom(ValueLayout.JAVA_LONG, WORKSPACE_BYTES),
              8));
      for (int attribute :
          new int[] {
            CublasLt.CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES(),
            CublasLt.CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES(),
            CublasLt.CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES(),
            CublasLt.CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES()
          }) {
        Library.CUBLAS_LT.check(
            "cublasLtMatmulPreferenceSetAttribute",
            CublasLt.cublasLtMatmulPreferenceSetAttribute(
                preference, attribute, local.allocateFrom(ValueLayout.JAVA_INT, 16), 4));
      }
      MemorySegment found = cublasLtMatmulHeuristicResult_t.allocate(arena);
      MemorySegment count = local.allocate(ValueLayout.JAVA_INT);
      int status =
          CublasLt.cublasLtMatmulAlgoGetHeuristic(
              handle(), description, weight, in, out, out, preference, 1, found, count);
      if (status == CublasLt.CUBLAS_STATUS_NOT_SUPPORTED()
          || count.get(ValueLayout.JAVA_INT, 0) == 0) {
        throw new InferenceException(
            ErrorCode.UNSUPPORTED_OPERATION, "cuBLASLt has no algorithm for " + key + ".");
      }
      Library.CUBLAS_LT.check("cublasLtMatmulAlgoGetHeuristic", status);
      return cublasLtMatmulHeuristicResult_t.algo(found);
    } finally {
      Library.CUBLAS_LT.check(
          "cublasLtMatmulPreferenceDestroy", CublasLt.cublasLtMatmulPreferenceDestroy(preference));
    }
  }

  @Override
  void release(MemorySegment held) {
    stream.context().makeCurrent();
    stream.synchronize();
    for (Plan plan : plans.values()) {
      Library.CUBLAS_LT.check(
          "cublasLtMatmulDescDestroy", CublasLt.cublasLtMatmulDescDestroy(plan.description));
      for (MemorySegment layout : new MemorySegment[] {plan.weight, plan.in, plan.out}) {
        Library.CUBLAS_LT.check(
            "cublasLtMatrixLayoutDestroy", CublasLt.cublasLtMatrixLayoutDestroy(layout));
      }
    }
    plans.clear();
    workspace.close();
    Library.CUBLAS_LT.check("cublasLtDestroy", CublasLt.cublasLtDestroy(held));
    arena.close();
  }
}
