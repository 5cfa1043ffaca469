package org.parallelcomp.backend.cuda;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.parallelcomp.api.backend.Arguments;
import org.parallelcomp.api.backend.TensorOps;
import org.parallelcomp.api.cache.TokenSelection;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Layout;
import org.parallelcomp.api.tensor.Shape;
import org.parallelcomp.api.tensor.Tensor;
import org.parallelcomp.backend.cuda.ffi.CudaFunction.Grid;
import org.parallelcomp.backend.cuda.ffi.DeviceMemory;
import org.parallelcomp.backend.cuda.ffi.LaunchArguments;

/**
 * The policies' arithmetic on the device. Nothing crosses to the host but the lengths of {@link
 * #selectWhere}; so {@link #gather} does not check its positions, which would have to cross.
 */
final class CudaTensorOps implements TensorOps {
  private static final int THREADS = 256;
  private static final int ROW_THREADS = 1024;

  /** What a row of top-k may take of a block's shared memory; longer rows stay in global memory. */
  private static final int TOP_K_SHARED_BYTES = 200 * 1024;

  /** Unknowns whose triangle of doubles fits a block's shared memory. */
  private static final int MOST_CHOLESKY = 235;

  private final CudaRuntime runtime;
  private final Moves moves;
  private final CudaMemoryScope results;

  CudaTensorOps(CudaRuntime runtime, Moves moves, CudaMemoryScope results) {
    this.runtime = runtime;
    this.moves = moves;
    this.results = results;
  }

  /** Codes of {@code binary_f32}, by ordinal. */
  private enum Binary {
    ADD,
    SUBTRACT,
    MULTIPLY,
    DIVIDE
  }

  /** Codes of {@code unary_f32}, by ordinal. */
  private enum Unary {
    EXP,
    LOG,
    SQRT,
    AFFINE,
    GREATER_THAN
  }

  /** Codes of the reductions, by ordinal. */
  private enum Reduction {
    SUM,
    MEAN,
    MAX,
    MIN,
    L2_NORM
  }

  /** Codes of {@code pool_f32}, by ordinal. */
  private enum Pool {
    AVERAGE,
    MAX
  }

  @Override
  public Tensor add(Tensor a, Tensor b) {
    return binary(Binary.ADD, a, b);
  }

  @Override
  public Tensor subtract(Tensor a, Tensor b) {
    return binary(Binary.SUBTRACT, a, b);
  }

  @Override
  public Tensor multiply(Tensor a, Tensor b) {
    return binary(Binary.MULTIPLY, a, b);
  }

  @Override
  public Tensor divide(Tensor a, Tensor b) {
    return binary(Binary.DIVIDE, a, b);
  }

  private Tensor binary(Binary operation, Tensor a, Tensor b) {
    CudaTensor left = CudaTensor.floats(a);
    CudaTensor right = CudaTensor.floats(b);
    Shape shape = Arguments.requireBroadcast(a.shape(), b.shape());
    CudaTensor result = result(DType.F32, shape);
    Walk walk =
        Walk.over(
            shape, Walk.broadcast(left.layout(), shape), Walk.broadcast(right.layout(), shape));
    elementwise(
        "binary_f32",
        shape,
        walk.addTo(
            LaunchArguments.begin()
                .address(result.address())
                .address(left.address())
                .address(right.address())
                .number(shape.elements())
                .number(operation.ordinal())));
    return result;
  }

  @Override
  public Tensor affine(Tensor a, float factor, float term) {
    return unary(Unary.AFFINE, a, factor, term);
  }

  @Override
  public Tensor exp(Tensor a) {
    return unary(Unary.EXP, a, 0, 0);
  }

  @Override
  public Tensor log(Tensor a) {
    return unary(Unary.LOG, a, 0, 0);
  }

  @Override
  public Tensor sqrt(Tensor a) {
    return unary(Unary.SQRT, a, 0, 0);
  }

  @Override
  public Tensor greaterThan(Tensor a, float threshold) {
    return unary(Unary.GREATER_THAN, a, threshold, 0);
  }

  private Tensor unary(Unary operation, Tensor a, float p, float q) {
    CudaTensor in = CudaTensor.floats(a);
    CudaTensor result = result(DType.F32, a.shape());
    elementwise(
        "unary_f32",
        a.shape(),
        Walk.over(a.shape(), Walk.strides(in.layout()))
            .addTo(
                LaunchArguments.begin()
                    .address(result.address())
                    .address(in.address())
                    .number(a.shape().elements())
                    .number(operation.ordinal())
                    .number(p)
                    .number(q)));
    return result;
  }

  @Override
  public Tensor where(Tensor mask, Tensor a, Tensor b) {
    Shape shape =
        Arguments.requireBroadcast(mask.shape(), Arguments.requireBroadcast(a.shape(), b.shape()));
    CudaTensor chooser = CudaTensor.floats(mask);
    CudaTensor left = CudaTensor.floats(a);
    CudaTensor right = CudaTensor.floats(b);
    CudaTensor result = result(DType.F32, shape);
    Walk walk =
        Walk.over(
            shape,
            Walk.broadcast(chooser.layout(), shape),
            Walk.broadcast(left.layout(), shape),
            Walk.broadcast(right.layout(), shape));
    elementwise(
        "where_f32",
        shape,
        walk.addTo(
            LaunchArguments.begin()
                .address(result.address())
                .address(chooser.address())
                .address(left.address())
                .address(right.address())
                .number(shape.elements())));
    return result;
  }

  @Override
  public Tensor full(Shape shape, float value) {
    CudaTensor result = result(DType.F32, shape);
    elementwise(
        "fill_f32",
        shape,
        LaunchArguments.begin().address(result.address()).number(shape.elements()).number(value));
    return result;
  }

  @Override
  public Tensor floats(Tensor a) {
    Arguments.requireFloats(a);
    CudaTensor result = result(DType.F32, a.shape());
    moves.toFloats(result, CudaTensor.of(a));
    return result;
  }

  @Override
  public Tensor constant(Shape shape, float[] numbers) {
    Arguments.requireConstant(shape, numbers);
    CudaTensor result = result(DType.F32, shape);
    new CudaHostTransfer(runtime, moves).copyFromHost(result, numbers);
    return result;
  }

  @Override
  public Tensor range(int count) {
    Shape shape = Shape.of(count);
    CudaTensor result = result(DType.F32, shape);
    elementwise(
        "range_f32", shape, LaunchArguments.begin().address(result.address()).number((long) count));
    return result;
  }

  private void elementwise(String kernel, Shape shape, LaunchArguments arguments) {
    runtime.launch(
        KernelSource.ELEMENTWISE, kernel, Moves.blocks(shape.elements()), THREADS, 0, arguments);
  }

  @Override
  public Tensor sum(Tensor a, int axis) {
    return reduce(Reduction.SUM, a, axis);
  }

  @Override
  public Tensor mean(Tensor a, int axis) {
    return reduce(Reduction.MEAN, a, axis);
  }

  @Override
  public Tensor max(Tensor a, int axis) {
    return reduce(Reduction.MAX, a, axis);
  }

  @Override
  public Tensor min(Tensor a, int axis) {
    return reduce(Reduction.MIN, a, axis);
  }

  @Override
  public Tensor l2Norm(Tensor a, int axis) {
    return reduce(Reduction.L2_NORM, a, axis);
  }

  private Tensor reduce(Reduction reduction, Tensor a, int axis) {
    CudaTensor in = CudaTensor.floats(a);
    int along = Arguments.requireAxis(a, axis);
    Shape shape = without(a.shape(), along);
    CudaTensor result = result(DType.F32, shape);
    int length = a.shape().intDim(along);
    Walk walk = Walk.over(shape, without(Walk.strides(in.layout()), along));
    if (length > 1 && in.stride(along) == 1) {
      runtime.launch(
          KernelSource.REDUCE,
          "reduce_rows_f32",
          Grid.of(shape.elements()),
          THREADS,
          0,
          walk.addTo(
              LaunchArguments.begin()
                  .address(result.address())
                  .address(in.address())
                  .number(length)
                  .number(reduction.ordinal())));
    } else {
      runtime.launch(
          KernelSource.REDUCE,
          "reduce_axis_f32",
          Moves.blocks(shape.elements()),
          THREADS,
          0,
          walk.addTo(
              LaunchArguments.begin()
                  .address(result.address())
                  .address(in.address())
                  .number(shape.elements())
                  .number(length)
                  .number(in.stride(along))
                  .number(reduction.ordinal())));
    }
    return result;
  }

  @Override
  public Tensor softmax(Tensor a) {
    CudaTensor in = rows(a);
    CudaTensor result = result(DType.F32, a.shape());
    runtime.launch(
        KernelSource.REDUCE,
        "softmax_f32",
        Grid.of(rowCount(a)),
        THREADS,
        0,
        walkOverRows(in)
            .addTo(
                LaunchArguments.begin()
                    .address(result.address())
                    .address(in.address())
                    .number(length(a))));
    return result;
  }

  @Override
  public Tensor averagePool1d(Tensor a, int kernel) {
    return pool(Pool.AVERAGE, a, kernel);
  }

  @Override
  public Tensor maxPool1d(Tensor a, int kernel) {
    return pool(Pool.MAX, a, kernel);
  }

  private Tensor pool(Pool pool, Tensor a, int kernel) {
    Arguments.requireKernel(kernel);
    CudaTensor in = rows(a);
    CudaTensor result = result(DType.F32, a.shape());
    runtime.launch(
        KernelSource.REDUCE,
        "pool_f32",
        Moves.blocks(a.shape().elements()),
        THREADS,
        0,
        Walk.over(a.shape(), Walk.strides(in.layout()))
            .addTo(
                LaunchArguments.begin()
                    .address(result.address())
                    .address(in.address())
                    .number(a.shape().elements())
                    .number(length(a))
                    .number(kernel)
                    .number(pool.ordinal())));
    return result;
  }

  @Override
  public Tensor matmul(Tensor a, Tensor b) {
    Arguments.requireMatmul(a, b);
    int inner = a.shape().intDim(-1);
    CudaTensor left = rows(a);
    CudaTensor right = rows(b);
    int rows = a.shape().intDim(-2);
    int columns = b.shape().intDim(-1);
    Shape leftBatch = leading(a.shape(), 2);
    Shape rightBatch = leading(b.shape(), 2);
    Shape batch = Arguments.requireBroadcast(leftBatch, rightBatch);
    long[] dims = Arrays.copyOf(batch.toArray(), batch.rank() + 2);
    dims[batch.rank()] = rows;
    dims[batch.rank() + 1] = columns;
    CudaTensor result = result(DType.F32, Shape.of(dims));
    Walk walk =
        Walk.over(
            batch, batchStrides(left, leftBatch, batch), batchStrides(right, rightBatch, batch));
    runtime.launch(
        KernelSource.LINALG,
        "matmul_f32",
        new Grid((columns + 63) / 64, (rows + 63) / 64, batch.elements()),
        THREADS,
        0,
        walk.addTo(
            LaunchArguments.begin()
                .address(result.address())
                .address(left.address())
                .address(right.address())
                .number(rows)
                .number(inner)
                .number(columns)
                .number(left.stride(-2))
                .number(right.stride(-2))));
    return result;
  }

  @Override
  public Tensor choleskySolve(Tensor a, Tensor b) {
    Arguments.requireCholeskySolve(a, b);
    int n = a.shape().intDim(-1);
    if (n > MOST_CHOLESKY) {
      throw new InferenceException(
          ErrorCode.UNSUPPORTED_OPERATION,
          "The CUDA backend solves for at most " + MOST_CHOLESKY + " unknowns, not " + n + ".");
    }
    CudaTensor matrix = rows(a);
    CudaTensor right = rows(b);
    int columns = b.shape().intDim(-1);
    Shape matrixBatch = leading(a.shape(), 2);
    Shape rightBatch = leading(b.shape(), 2);
    Shape batch = Arguments.requireBroadcast(matrixBatch, rightBatch);
    long[] dims = Arrays.copyOf(batch.toArray(), batch.rank() + 2);
    dims[batch.rank()] = n;
    dims[batch.rank() + 1] = columns;
    CudaTensor result = result(DType.F32, Shape.of(dims));
    Walk walk =
        Walk.over(
            batch,
            batchStrides(matrix, matrixBatch, batch),
            batchStrides(right, rightBatch, batch));
    // What the kernel says of all matrices together is not asked for: the one that fails is NaN.
    try (DeviceMemory failed = runtime.temporary(new int[1])) {
      runtime.launch(
          KernelSource.LINALG,
          "cholesky_solve_f32",
          Grid.of(batch.elements()),
          THREADS,
          8 * n * (n + 1) / 2,
          walk.addTo(
                  LaunchArguments.begin()
                      .address(result.address())
                      .address(matrix.address())
                      .address(right.address())
                      .number(n)
                      .number(columns)
                      .number(matrix.stride(-2))
                      .number(right.stride(-2)))
              .address(failed.address()));
    }
    return result;
  }

  private static long[] batchStrides(CudaTensor tensor, Shape own, Shape batch) {
    long[] strides = new long[batch.rank()];
    int missing = batch.rank() - own.rank();
    for (int axis = missing; axis < strides.length; axis++) {
      boolean repeated = own.dim(axis - missing) == 1 && batch.dim(axis) != 1;
      strides[axis] = repeated ? 0 : tensor.stride(axis - missing);
    }
    return strides;
  }

  @Override
  public Tensor transpose(Tensor a, int axis, int otherAxis) {
    CudaTensor in = CudaTensor.of(a);
    if (in.dtype().isBlock()) {
      throw new InferenceException(
          ErrorCode.UNSUPPORTED_OPERATION, "Blocks of " + in.dtype() + " cannot be transposed.");
    }
    int first = Arguments.requireAxis(a, axis);
    int second = Arguments.requireAxis(a, otherAxis);
    long[] dims = a.shape().toArray();
    long[] strides = Walk.strides(in.layout());
    swap(dims, first, second);
    swap(strides, first, second);
    CudaTensor result = result(in.dtype(), Shape.of(dims));
    moves.copy(
        result.address(),
        Walk.strides(result.layout()),
        in.address(),
        strides,
        result.shape(),
        in.dtype().blockBytes());
    return result;
  }

  private static void swap(long[] numbers, int i, int j) {
    long kept = numbers[i];
    numbers[i] = numbers[j];
    numbers[j] = kept;
  }

  @Override
  public Tensor topK(Tensor a, int count) {
    Arguments.requireTopK(a, count);
    int length = length(a);
    CudaTensor in = rows(a);
    CudaTensor result = result(DType.I32, a.shape().with(-1, count));
    if (count > 0) {
      runtime.launch(
          KernelSource.TOPK,
          "top_k_f32",
          Grid.of(rowCount(a)),
          ROW_THREADS,
          (int) Math.min(4L * length, TOP_K_SHARED_BYTES),
          walkOverRows(in)
              .addTo(
                  LaunchArguments.begin()
                      .address(result.address())
                      .address(in.address())
                      .number(length)
                      .number(count)));
    }
    return result;
  }

  @Override
  public Tensor argMax(Tensor a) {
    if (length(a) == 0) {
      throw new InferenceException(
          ErrorCode.INVALID_ARGUMENT, "There is no greatest among no numbers.");
    }
    CudaTensor in = rows(a);
    CudaTensor result = result(DType.I32, leading(a.shape(), 1));
    runtime.launch(
        KernelSource.REDUCE,
        "arg_max_f32",
        Grid.of(rowCount(a)),
        ROW_THREADS,
        0,
        walkOverRows(in)
            .addTo(
                LaunchArguments.begin()
                    .address(result.address())
                    .address(in.address())
                    .number(length(a))));
    return result;
  }

  @Override
  public Tensor gather(Tensor a, Tensor indices) {
    Arguments.requireGather(a, indices);
    CudaTensor in = CudaTensor.of(a).gapless("what is gathered from");
    CudaTensor at = CudaTensor.of(indices);
    if (in.dtype().blockBytes() != 4) {
      throw new InferenceException(
          ErrorCode.UNSUPPORTED_OPERATION,
          "The CUDA backend gathers F32 and I32, not " + in.dtype() + ".");
    }
    Shape shape = indices.shape();
    CudaTensor result = result(in.dtype(), shape);
    long[] rows = Walk.strides(in.layout());
    rows[rows.length - 1] = 0;
    elementwise(
        "gather_4",
        shape,
        Walk.over(shape, rows, Walk.strides(at.layout()))
            .addTo(
                LaunchArguments.begin()
                    .address(result.address())
                    .address(in.address())
                    .address(at.address())
                    .number(shape.elements())));
    return result;
  }

  @Override
  public Tensor concat(List<Tensor> parts, int axis) {
    Arguments.requireConcat(parts, axis);
    Tensor first = parts.getFirst();
    int along = Arguments.requireAxis(first, axis);
    long extent = parts.stream().mapToLong(part -> part.shape().dim(along)).sum();
    CudaTensor result = result(first.dtype(), first.shape().with(along, extent));
    long at = 0;
    for (Tensor part : parts) {
      long end = at + part.shape().dim(along);
      moves.copy(result.slice(along, at, end), CudaTensor.of(part));
      at = end;
    }
    return result;
  }

  @Override
  public TokenSelection selectWhere(Tensor mask) {
    CudaTensor in = rows(mask);
    int heads = mask.shape().intDim(0);
    int tokens = mask.shape().intDim(1);
    int[] kept;
    try (DeviceMemory counts = runtime.temporary(4L * heads)) {
      runtime.launch(
          KernelSource.REDUCE,
          "count_selected_f32",
          Grid.of(heads),
          ROW_THREADS,
          0,
          LaunchArguments.begin()
              .address(counts.address())
              .address(in.address())
              .number(tokens)
              .number(in.stride(0)));
      kept =
          new CudaHostTransfer(runtime, moves)
              .copyToHostInts(
                  new CudaTensor(counts, DType.I32, Layout.contiguous(Shape.of(heads))));
    }
    int[] offsets = offsets(kept);
    CudaTensor indices = result(DType.I32, Shape.of(offsets[heads]));
    try (SharedConstants.Lease starts = runtime.constant(offsets)) {
      runtime.launch(
          KernelSource.REDUCE,
          "write_selected_f32",
          Grid.of(heads),
          ROW_THREADS,
          0,
          LaunchArguments.begin()
              .address(indices.address())
              .address(starts.address())
              .address(in.address())
              .number(tokens)
              .number(in.stride(0)));
    }
    return TokenSelection.of(tokens, kept, indices);
  }

  @Override
  public Tensor mask(TokenSelection selection) {
    Shape shape = Shape.of(selection.kvHeads(), selection.tokens());
    if (selection.indices().isEmpty()) {
      return full(shape, 1);
    }
    CudaTensor indices = CudaTensor.ints(selection.indices().get());
    CudaTensor result = results.allocate(DType.F32, shape);
    try (SharedConstants.Lease starts = runtime.constant(offsets(selection.keptTokens()))) {
      runtime.launch(
          KernelSource.REDUCE,
          "write_mask_f32",
          Grid.of(selection.kvHeads()),
          THREADS,
          0,
          LaunchArguments.begin()
              .address(result.address())
              .address(indices.address())
              .address(starts.address())
              .number(selection.tokens()));
    }
    return result;
  }

  /** Returns where each head's indices begin, and where the last one's end. */
  static int[] offsets(int[] counts) {
    int[] offsets = new int[counts.length + 1];
    for (int i = 0; i < counts.length; i++) {
      offsets[i + 1] = Math.addExact(offsets[i], counts[i]);
    }
    return offsets;
  }

  private CudaTensor result(DType dtype, Shape shape) {
    return results.allocateUndefined(dtype, shape);
  }

  /** Returns an F32 tensor whose rows have no gaps, copied where the argument's have. */
  private CudaTensor rows(Tensor a) {
    CudaTensor tensor = CudaTensor.floats(a);
    if (tensor.isGapless()) {
      return tensor;
    }
    CudaTensor dense = result(DType.F32, a.shape());
    moves.copy(dense, tensor);
    return dense;
  }

  private static Walk walkOverRows(CudaTensor tensor) {
    long[] strides = Walk.strides(tensor.layout());
    int outer = Math.max(0, strides.length - 1);
    return Walk.over(leading(tensor.shape(), 1), Arrays.copyOf(strides, outer));
  }

  private static int length(Tensor a) {
    return a.shape().rank() == 0 ? 1 : a.shape().intDim(-1);
  }

  private static long rowCount(Tensor a) {
    return leading(a.shape(), 1).elements();
  }

  private static Shape leading(Shape shape, int less) {
    return Shape.of(Arrays.copyOf(shape.toArray(), Math.max(0, shape.rank() - less)));
  }

  private static Shape without(Shape shape, int axis) {
    return Shape.of(without(shape.toArray(), axis));
  }

  private static long[] without(long[] numbers, int index) {
    var rest = new ArrayList<Long>();
    for (int i = 0; i < numbers.length; i++) {
      if (i != index) {
        rest.add(numbers[i]);
      }
    }
    return rest.stream().mapToLong(Long::longValue).toArray();
  }
}
