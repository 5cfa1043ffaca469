package org.parallelcomp.backend.cuda;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.parallelcomp.api.backend.Arguments;
import org.parallelcomp.api.backend.AttentionBlock;
import org.parallelcomp.api.backend.DecoderOps;
import org.parallelcomp.api.backend.FeedForwardBlock;
import org.parallelcomp.api.backend.Rope;
import org.parallelcomp.api.backend.Scratch;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Layout;
import org.parallelcomp.api.tensor.Shape;
import org.parallelcomp.api.tensor.Tensor;
import org.parallelcomp.backend.cuda.ffi.CudaFunction.Grid;
import org.parallelcomp.backend.cuda.ffi.DeviceMemory;
import org.parallelcomp.backend.cuda.ffi.LaunchArguments;
import org.parallelcomp.backend.cuda.ffi.MatrixProducts;
import org.parallelcomp.backend.cuda.ffi.MatrixProducts.Precision;
import org.parallelcomp.backend.cuda.ffi.MatrixProducts.Type;

/**
 * The operations of a decoder layer. Activations are F32 outside; how they are multiplied follows
 * from the weights' type and the number of rows:
 *
 * <ul>
 *   <li>Up to {@value #FEW_ROWS} rows (decoding): a kernel of our own reads the weights as they are
 *       stored, of any type, and multiplies in F32.
 *   <li>BF16 weights: activations are rounded to BF16, products accumulated in F32 (cuBLASLt).
 *   <li>Block-quantised weights stay packed in memory; they are unpacked to BF16 into a buffer
 *       before each product, and then as above.
 *   <li>F16 weights: both are multiplied as TF32, which holds F16 exactly and, unlike F16, every
 *       activation's size.
 *   <li>F32 weights: in F32.
 * </ul>
 */
final class CudaDecoderOps implements DecoderOps {
  static final int FEW_ROWS = 8;

  private static final int THREADS = 256;

  /** Rows of a matrix that a block of the kernel for few rows takes. */
  private static final int GEMV_ROWS = 16;

  private static final int GEMV_PART_BYTES = 40;
  private static final int HEADS_BYTES = 32;

  private final CudaRuntime runtime;
  private final Moves moves;

  CudaDecoderOps(CudaRuntime runtime, Moves moves) {
    this.runtime = runtime;
    this.moves = moves;
  }

  @Override
  public void embed(Tensor out, Tensor table, Tensor tokenIds) {
    Arguments.requireEmbed(out, table, tokenIds);
    CudaTensor rows = weight(table);
    CudaTensor to = CudaTensor.floats(out).matrix();
    CudaTensor ids = CudaTensor.ints(tokenIds);
    int dim = table.shape().intDim(1);
    runtime.launch(
        KernelSource.QUANT,
        "embed_" + Moves.suffix(rows.dtype()),
        Grid.of(to.shape().dim(0)),
        THREADS,
        0,
        LaunchArguments.begin()
            .address(to.address())
            .address(rows.address())
            .address(ids.address())
            .number(dim)
            .number(to.stride(0)));
  }

  @Override
  public void linear(Tensor out, Tensor weight, @Nullable Tensor bias, Tensor in) {
    Arguments.requireLinear(out, weight, bias, in);
    CudaTensor from = CudaTensor.floats(in).matrix();
    CudaTensor to = CudaTensor.floats(out).matrix();
    CudaTensor matrix = weight(weight);
    if (from.shape().dim(0) <= FEW_ROWS) {
      fewRows(from, null, 0, false, new Product(to, matrix, vector(bias)));
      return;
    }
    try (Operand operand = operand(from, matrix.dtype())) {
      multiply(to, matrix, bias, operand, false);
    }
  }

  // ---- products of many rows ----

  /** Activations as they are multiplied: rows without gaps, of the type of the product. */
  private record Operand(
      CudaTensor values, Type type, @Nullable CudaTensor exact, @Nullable DeviceMemory own)
      implements AutoCloseable {
    @Override
    public void close() {
      if (own != null) {
        own.close();
      }
    }
  }

  private static Type productType(DType weight) {
    return weight == DType.F32 || weight == DType.F16 ? Type.F32 : Type.BF16;
  }

  private static DType dtype(Type type) {
    return switch (type) {
      case F32 -> DType.F32;
      case F16 -> DType.F16;
      case BF16 -> DType.BF16;
    };
  }

  /** Returns activations as the products with a type of weights take them. */
  private Operand operand(CudaTensor in, DType weight) {
    Type type = productType(weight);
    Shape shape = in.shape();
    if (type == Type.F32 && in.address() % 16 == 0 && in.stride(0) % 4 == 0) {
      return new Operand(in, type, in, null);
    }
    DeviceMemory memory = runtime.temporary(type.bytes() * shape.elements());
    var values = new CudaTensor(memory, dtype(type), Layout.contiguous(shape));
    if (type == Type.F32) {
      moves.copy(values, in);
    } else {
      moves.convert(
          values.dtype(),
          values.address(),
          shape.dim(1),
          DType.F32,
          in.address(),
          in.stride(0),
          shape.dim(0),
          shape.intDim(1));
    }
    return new Operand(values, type, in, memory);
  }

  /** {@code out = in · weightᵀ + bias}, or added to what stands in the output. */
  private void multiply(
      CudaTensor out, CudaTensor weight, @Nullable Tensor bias, Operand in, boolean accumulate) {
    CudaTensor direct = weight;
    DeviceMemory unpacked = null;
    try {
      if (weight.dtype() != dtype(in.type)) {
        unpacked = runtime.temporary(in.type.bytes() * weight.shape().elements());
        direct = new CudaTensor(unpacked, dtype(in.type), Layout.contiguous(weight.shape()));
        unpack(direct, weight);
      }
      multiplyPlain(out, direct, in, accumulate, weight.dtype());
    } finally {
      if (unpacked != null) {
        unpacked.close();
      }
    }
    if (bias != null) {
      CudaTensor terms = CudaTensor.floats(bias).contiguous("a bias");
      long rows = out.shape().dim(0);
      int columns = out.shape().intDim(1);
      runtime.launch(
          KernelSource.ELEMENTWISE,
          "add_bias_f32",
          Moves.blocks(rows * ((columns + 3) / 4)),
          THREADS,
          0,
          LaunchArguments.begin()
              .address(out.address())
              .address(terms.address())
              .number(rows)
              .number(columns)
              .number(out.stride(0)));
    }
  }

  private void unpack(CudaTensor to, CudaTensor packed) {
    Shape shape = packed.shape();
    if (packed.dtype().isBlock()) {
      moves.unpack(to.dtype(), to.address(), packed.dtype(), packed.address(), shape.elements());
    } else {
      moves.convert(
          to.dtype(),
          to.address(),
          shape.dim(1),
          packed.dtype(),
          packed.address(),
          shape.dim(1),
          shape.dim(0),
          shape.intDim(1));
    }
  }

  private void multiplyPlain(
      CudaTensor out, CudaTensor weight, Operand in, boolean accumulate, DType stored) {
    MatrixProducts.Key key =
        new MatrixProducts.Key(
            in.type,
            out.dtype() == DType.F32 ? Type.F32 : Type.BF16,
            stored == DType.F16 ? Precision.TF32 : Precision.FULL,
            out.shape().intDim(0),
            out.shape().intDim(1),
            weight.shape().intDim(1),
            out.stride(0),
            weight.stride(0),
            in.values.stride(0));
    long weightAddress = weight.address();
    long inAddress = in.values.address();
    if (key.aligned(out.address(), weightAddress, inAddress)) {
      runtime.products().multiply(key, out.address(), weightAddress, inAddress, accumulate);
    } else {
      // Odd sizes, which no model has but the kit asks for: our own kernel reads anything.
      fewRows(in.exact, null, 0, accumulate, new Product(out, weight, 0));
    }
  }

  // ---- products of few rows ----

  /** One matrix of a launch of the kernel for few rows. */
  private record Product(CudaTensor out, CudaTensor weight, long bias) {}

  /**
   * Products of up to three matrices of one type with one input, which may be normalised first.
   * Each row reads all weights.
   *
   * @param norm weights of the RMSNorm of the input, or null for none
   */
  private void fewRows(
      CudaTensor in, @Nullable Tensor norm, float epsilon, boolean accumulate, Product... parts) {
    int inputDim = in.shape().intDim(1);
    LaunchArguments arguments = LaunchArguments.begin();
    long blocks = 0;
    for (int part = 0; part < 3; part++) {
      MemorySegment struct = arguments.structure(GEMV_PART_BYTES);
      if (part < parts.length) {
        Product product = parts[part];
        int rows = product.out.shape().intDim(1);
        struct.set(ValueLayout.JAVA_LONG, 0, product.weight.address());
        struct.set(ValueLayout.JAVA_LONG, 8, product.out.address());
        struct.set(ValueLayout.JAVA_LONG, 16, product.bias);
        struct.set(ValueLayout.JAVA_LONG, 24, product.out.stride(0));
        struct.set(ValueLayout.JAVA_INT, 32, rows);
        blocks += (rows + GEMV_ROWS - 1) / GEMV_ROWS;
      }
    }
    arguments
        .address(in.address())
        .number(in.stride(0))
        .address(norm == null ? 0 : vector(norm))
        .number(epsilon)
        .number(inputDim)
        .number(accumulate ? 1 : 0)
        .number(Arrays.stream(parts).allMatch(product -> product.weight.readOnly()) ? 1 : 0);
    runtime.launch(
        KernelSource.GEMV,
        "gemv_" + Moves.suffix(parts[0].weight.dtype()),
        new Grid(in.shape().dim(0), blocks, 1),
        THREADS,
        4 * inputDim,
        arguments);
  }

  // ---- rows and elements ----

  @Override
  public void rmsNorm(Tensor out, Tensor in, Tensor weight, float epsilon) {
    Arguments.requireRmsNorm(out, in, weight);
    CudaTensor to = CudaTensor.floats(out).gapless("the output");
    CudaTensor from = CudaTensor.floats(in).gapless("the input");
    rmsNorm(to, from, weight, epsilon);
  }

  /** Normalises rows; the output is F32 or BF16. */
  private void rmsNorm(CudaTensor to, CudaTensor from, Tensor weight, float epsilon) {
    int dim = from.shape().intDim(-1);
    int outer = from.shape().rank() - 1;
    Shape rows = Shape.of(Arrays.copyOf(from.shape().toArray(), outer));
    Walk walk =
        Walk.over(
            rows,
            Arrays.copyOf(Walk.strides(to.layout()), outer),
            Arrays.copyOf(Walk.strides(from.layout()), outer));
    runtime.launch(
        KernelSource.DECODER,
        "rms_norm_f32_" + Moves.suffix(to.dtype()),
        Grid.of(rows.elements()),
        dim <= 512 ? 128 : THREADS,
        0,
        walk.addTo(
            LaunchArguments.begin()
                .address(to.address())
                .address(from.address())
                .address(vector(weight))
                .number(dim)
                .number(epsilon)));
  }

  @Override
  public void rope(Tensor inOut, Tensor positions, Rope rope) {
    rope(List.of(inOut), positions, rope);
  }

  /** Rotates the heads of one or two tensors of the same tokens. */
  private void rope(List<Tensor> tensors, Tensor positions, Rope rope) {
    tensors.forEach(tensor -> Arguments.requireRope(tensor, positions, rope));
    CudaTensor at = CudaTensor.ints(positions);
    Tensor first = tensors.getFirst();
    int tokens = first.shape().intDim(0);
    int headDim = first.shape().intDim(2);
    if (headDim % 2 != 0) {
      throw new InferenceException(
          ErrorCode.UNSUPPORTED_OPERATION,
          "The CUDA backend rotates heads of an even number of dimensions, not of "
              + headDim
              + ".");
    }
    int pairs = rope.rotaryDims() / 2;
    if (pairs == 0) {
      return;
    }
    LaunchArguments arguments = LaunchArguments.begin();
    int allHeads = 0;
    for (int i = 0; i < 2; i++) {
      MemorySegment struct = arguments.structure(HEADS_BYTES);
      if (i < tensors.size()) {
        CudaTensor heads = CudaTensor.floats(tensors.get(i)).gapless("a head");
        struct.set(ValueLayout.JAVA_LONG, 0, heads.address());
        struct.set(ValueLayout.JAVA_LONG, 8, heads.stride(0));
        struct.set(ValueLayout.JAVA_LONG, 16, heads.stride(1));
        struct.set(ValueLayout.JAVA_INT, 24, heads.shape().intDim(1));
        allHeads += heads.shape().intDim(1);
      }
    }
    runtime.launch(
        KernelSource.DECODER,
        "rope_f32",
        Moves.blocks((long) tokens * allHeads * ((pairs + 7) / 8)),
        THREADS,
        0,
        arguments
            .address(at.address())
            .address(vector(rope.cosines()))
            .address(vector(rope.sines()))
            .number(tokens)
            .number(headDim)
            .number(pairs)
            .number(rope.style().ordinal()));
  }

  @Override
  public void swiGlu(Tensor out, Tensor gate, Tensor up) {
    Arguments.requireSwiGlu(out, gate, up);
    swiGlu(
        CudaTensor.floats(out).matrix(),
        CudaTensor.floats(gate).matrix(),
        CudaTensor.floats(up).matrix());
  }

  private void swiGlu(CudaTensor out, CudaTensor gate, CudaTensor up) {
    long rows = out.shape().dim(0);
    int columns = out.shape().intDim(1);
    runtime.launch(
        KernelSource.DECODER,
        "swiglu_" + Moves.suffix(gate.dtype()) + "_" + Moves.suffix(out.dtype()),
        Moves.blocks(rows * ((columns + 7) / 8)),
        THREADS,
        0,
        LaunchArguments.begin()
            .address(out.address())
            .address(gate.address())
            .address(up.address())
            .number(rows)
            .number(columns)
            .number(out.stride(0))
            .number(gate.stride(0))
            .number(up.stride(0)));
  }

  @Override
  public void add(Tensor inOut, Tensor term) {
    Arguments.requireAdd(inOut, term);
    CudaTensor sum = CudaTensor.floats(inOut).matrix();
    CudaTensor other = CudaTensor.floats(term).matrix();
    long rows = sum.shape().dim(0);
    int columns = sum.shape().intDim(1);
    runtime.launch(
        KernelSource.ELEMENTWISE,
        "add_f32",
        Moves.blocks(rows * ((columns + 3) / 4)),
        THREADS,
        0,
        LaunchArguments.begin()
            .address(sum.address())
            .address(other.address())
            .number(rows)
            .number(columns)
            .number(sum.stride(0))
            .number(other.stride(0)));
  }

  @Override
  public void tokenLogLikelihood(Tensor out, Tensor logits, Tensor targets) {
    Arguments.requireTokenLogLikelihood(out, logits, targets);
    CudaTensor rows = CudaTensor.floats(logits).matrix();
    CudaTensor to = CudaTensor.floats(out).contiguous("the output");
    CudaTensor ids = CudaTensor.ints(targets);
    runtime.launch(
        KernelSource.REDUCE,
        "token_log_likelihood_f32",
        Grid.of(rows.shape().dim(0)),
        1024,
        0,
        LaunchArguments.begin()
            .address(to.address())
            .address(rows.address())
            .address(ids.address())
            .number(rows.shape().intDim(1))
            .number(rows.stride(0)));
  }

  // ---- fused blocks ----

  @Override
  public void attentionInput(
      Tensor queries,
      Tensor keys,
      Tensor values,
      AttentionBlock block,
      Tensor hidden,
      Tensor positions,
      Rope rope,
      Scratch scratch) {
    CudaTensor state = CudaTensor.floats(hidden).matrix();
    List<Tensor> weights = List.of(block.query(), block.key(), block.value());
    if (state.shape().dim(0) <= FEW_ROWS
        && weights.stream().map(Tensor::dtype).distinct().count() == 1) {
      fewRows(
          state,
          block.norm(),
          block.epsilon(),
          false,
          new Product(flat(queries), weight(block.query()), vector(block.queryBias())),
          new Product(flat(keys), weight(block.key()), vector(block.keyBias())),
          new Product(flat(values), weight(block.value()), vector(block.valueBias())));
    } else if (allBf16(weights)
        && List.of(flat(queries), flat(keys), flat(values)).stream()
            .allMatch(CudaDecoderOps::isAligned)) {
      try (Operand normed = normed(state, block.norm(), block.epsilon())) {
        multiply(flat(queries), weight(block.query()), block.queryBias(), normed, false);
        multiply(flat(keys), weight(block.key()), block.keyBias(), normed, false);
        multiply(flat(values), weight(block.value()), block.valueBias(), normed, false);
      }
    } else {
      DecoderOps.super.attentionInput(
          queries, keys, values, block, hidden, positions, rope, scratch);
      return;
    }
    if (block.queryNorm() != null) {
      rmsNorm(queries, queries, block.queryNorm(), block.epsilon());
    }
    if (block.keyNorm() != null) {
      rmsNorm(keys, keys, block.keyNorm(), block.epsilon());
    }
    rope(List.of(queries, keys), positions, rope);
  }

  @Override
  public void attentionOutputAndFeedForward(
      Tensor hidden,
      Tensor attended,
      AttentionBlock attention,
      FeedForwardBlock feedForward,
      Scratch scratch) {
    CudaTensor state = CudaTensor.floats(hidden).matrix();
    CudaTensor context = flat(attended);
    long rows = state.shape().dim(0);
    long feedForwardDim = feedForward.gate().shape().dim(0);
    boolean pair = feedForward.gate().dtype() == feedForward.up().dtype();
    if (rows <= FEW_ROWS && pair) {
      fewRows(
          context,
          null,
          0,
          true,
          new Product(state, weight(attention.output()), vector(attention.outputBias())));
      CudaTensor gated = CudaTensor.of(scratch.take("gate", rows, feedForwardDim));
      gatedFewRows(gated, feedForward, state);
      fewRows(gated, null, 0, true, new Product(state, weight(feedForward.down()), 0));
      return;
    }
    if (!staysHalf(state, attention, feedForward)) {
      DecoderOps.super.attentionOutputAndFeedForward(
          hidden, attended, attention, feedForward, scratch);
      return;
    }
    try (Operand operand = operand(context, DType.BF16)) {
      multiply(state, weight(attention.output()), attention.outputBias(), operand, true);
    }
    feedForward(state, feedForward);
  }

  /**
   * The same of what was attended to in BF16.
   *
   * @param hidden {@code [tokens, hiddenDim]} for which {@link #staysHalf} is true
   * @param attended {@code [tokens, queryHeads * headDim]} without gaps, BF16
   */
  void attentionOutputAndFeedForward(
      CudaTensor hidden,
      CudaTensor attended,
      AttentionBlock attention,
      FeedForwardBlock feedForward) {
    var operand = new Operand(attended, Type.BF16, null, null);
    multiply(hidden, weight(attention.output()), attention.outputBias(), operand, true);
    feedForward(hidden, feedForward);
  }

  /** Returns whether what lies between the products behind attention is BF16. */
  static boolean staysHalf(
      CudaTensor state, AttentionBlock attention, FeedForwardBlock feedForward) {
    return allBf16(
            List.of(attention.output(), feedForward.gate(), feedForward.up(), feedForward.down()))
        && isAligned(state);
  }

  /** The feed-forward block of many rows, in BF16 between the products. */
  private void feedForward(CudaTensor state, FeedForwardBlock block) {
    Shape inner = Shape.of(state.shape().dim(0), block.gate().shape().dim(0));
    try (DeviceMemory gateMemory = runtime.temporary(2 * inner.elements());
        DeviceMemory upMemory = runtime.temporary(2 * inner.elements())) {
      var gate = new CudaTensor(gateMemory, DType.BF16, Layout.contiguous(inner));
      var up = new CudaTensor(upMemory, DType.BF16, Layout.contiguous(inner));
      try (Operand normed = normed(state, block.norm(), block.epsilon())) {
        multiply(gate, weight(block.gate()), null, normed, false);
        multiply(up, weight(block.up()), null, normed, false);
      }
      swiGlu(gate, gate, up);
      try (Operand operand = new Operand(gate, Type.BF16, null, null)) {
        multiply(state, weight(block.down()), null, operand, true);
      }
    }
  }

  /** {@code out = swiGlu(n · gateᵀ, n · upᵀ)} of the normalised input. */
  private void gatedFewRows(CudaTensor out, FeedForwardBlock block, CudaTensor in) {
    CudaTensor gate = weight(block.gate());
    CudaTensor up = weight(block.up());
    int inputDim = in.shape().intDim(1);
    int rows = gate.shape().intDim(0);
    runtime.launch(
        KernelSource.GEMV,
        "gemv_swiglu_" + Moves.suffix(gate.dtype()),
        new Grid(in.shape().dim(0), (rows + 7) / 8, 1),
        THREADS,
        4 * inputDim,
        LaunchArguments.begin()
            .address(out.address())
            .number(out.stride(0))
            .address(gate.address())
            .address(up.address())
            .address(in.address())
            .number(in.stride(0))
            .address(vector(block.norm()))
            .number(block.epsilon())
            .number(inputDim)
            .number(rows)
            .number(gate.readOnly() && up.readOnly() ? 1 : 0));
  }

  /**
   * Returns whether all products are of BF16 and of sizes that cuBLASLt takes, so that activations
   * need not be kept in F32 between them.
   */
  private static boolean allBf16(List<Tensor> weights) {
    return weights.stream()
        .allMatch(
            weight ->
                productType(weight.dtype()) == Type.BF16
                    && weight.shape().dim(0) % 8 == 0
                    && weight.shape().dim(1) % 8 == 0
                    && (weight.dtype() != DType.BF16 || CudaTensor.of(weight).address() % 16 == 0));
  }

  private static boolean isAligned(CudaTensor matrix) {
    return matrix.address() % 16 == 0 && matrix.stride(0) % 4 == 0;
  }

  private Operand normed(CudaTensor in, Tensor norm, float epsilon) {
    DeviceMemory memory = runtime.temporary(2 * in.shape().elements());
    var normed = new CudaTensor(memory, DType.BF16, Layout.contiguous(in.shape()));
    rmsNorm(normed, in, norm, epsilon);
    return new Operand(normed, Type.BF16, null, memory);
  }

  // ---- arguments ----

  private static CudaTensor flat(Tensor heads) {
    Shape shape = heads.shape();
    return CudaTensor.floats(heads)
        .reshape(Shape.of(shape.dim(0), shape.dim(1) * shape.dim(2)))
        .gapless("the heads of a token");
  }

  private static CudaTensor weight(Tensor tensor) {
    CudaTensor matrix = CudaTensor.of(tensor).contiguous("a matrix of weights");
    if (!isWeightType(matrix.dtype(), matrix.shape())) {
      throw new InferenceException(
          ErrorCode.UNSUPPORTED_OPERATION,
          "The CUDA backend has no product for weights " + matrix.dtype() + matrix.shape() + ".");
    }
    return matrix;
  }

  /** Returns whether a matrix may have this type and shape. */
  static boolean isWeightType(DType dtype, Shape shape) {
    return dtype != DType.I32 && shape.dim(-1) % dtype.blockElements() == 0;
  }

  /** Returns the address of a gapless F32 vector, or the null pointer. */
  private static long vector(@Nullable Tensor tensor) {
    return tensor == null ? 0 : CudaTensor.floats(tensor).contiguous("a vector").address();
  }
}
