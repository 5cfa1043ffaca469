package org.parallelcomp.backend.cuda;

import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Layout;
import org.parallelcomp.api.tensor.Shape;
import org.parallelcomp.backend.cuda.ffi.CudaFunction.Grid;
import org.parallelcomp.backend.cuda.ffi.DeviceMemory;
import org.parallelcomp.backend.cuda.ffi.LaunchArguments;

/** Copies and conversions between tensors of any strides. */
final class Moves {
  private static final int THREADS = 256;

  private final CudaRuntime runtime;

  Moves(CudaRuntime runtime) {
    this.runtime = runtime;
  }

  /** Returns the blocks for so many elements, one thread each. */
  static Grid blocks(long elements) {
    return Grid.of((elements + THREADS - 1) / THREADS);
  }

  /** Copies the elements of one layout to those of another of the same shape, bit by bit. */
  void copy(
      long to, long[] toStrides, long from, long[] fromStrides, Shape shape, int elementBytes) {
    if (shape.elements() == 0) {
      return;
    }
    Walk walk = Walk.over(shape, toStrides, fromStrides);
    boolean plain =
        walk.axes() == 0 || walk.axes() == 1 && walk.stride(0, 0) == 1 && walk.stride(1, 0) == 1;
    if (plain) {
      runtime.stream().copy(to, from, shape.elements() * elementBytes);
      return;
    }
    LaunchArguments arguments =
        LaunchArguments.begin().address(to).address(from).number(shape.elements());
    runtime.launch(
        KernelSource.ELEMENTWISE,
        "copy_" + elementBytes,
        blocks(shape.elements()),
        THREADS,
        0,
        walk.addTo(arguments));
  }

  /** Copies a tensor to another of the same type and shape. */
  void copy(CudaTensor to, CudaTensor from) {
    copy(
        to.address(),
        Walk.strides(to.layout()),
        from.address(),
        Walk.strides(from.layout()),
        from.shape(),
        from.dtype().blockBytes());
  }

  /** Converts rows of F32, F16 or BF16 to dense or strided rows of another of these types. */
  void convert(
      DType toType,
      long to,
      long toRow,
      DType fromType,
      long from,
      long fromRow,
      long rows,
      int columns) {
    runtime.launch(
        KernelSource.ELEMENTWISE,
        "convert_" + suffix(fromType) + "_" + suffix(toType),
        blocks(rows * ((columns + 7) / 8)),
        THREADS,
        0,
        LaunchArguments.begin()
            .address(to)
            .address(from)
            .number(rows)
            .number(columns)
            .number(toRow)
            .number(fromRow));
  }

  /** Unpacks a gapless run of block-quantised numbers. */
  void unpack(DType toType, long to, DType fromType, long from, long numbers) {
    runtime.launch(
        KernelSource.QUANT,
        "dequantize_" + suffix(fromType) + "_" + suffix(toType),
        blocks(numbers / 32),
        THREADS,
        0,
        LaunchArguments.begin().address(to).address(from).number(numbers));
  }

  /** Returns the numbers of a tensor of any floating or block type as gapless F32. */
  CudaTensor toFloats(CudaTensor tensor) {
    DeviceMemory memory = runtime.temporary(4 * tensor.shape().elements());
    var floats = new CudaTensor(memory, DType.F32, Layout.contiguous(tensor.shape()));
    toFloats(floats, tensor);
    return floats;
  }

  /** Writes the numbers of a tensor of any floating or block type into a gapless one of F32. */
  void toFloats(CudaTensor floats, CudaTensor tensor) {
    Shape shape = tensor.shape();
    if (shape.elements() == 0) {
      return;
    }
    switch (tensor.dtype()) {
      case F32 -> copy(floats, tensor);
      case F16, BF16 -> {
        try (DeviceMemory dense = runtime.temporary(2 * shape.elements())) {
          copy(new CudaTensor(dense, tensor.dtype(), floats.layout()), tensor);
          int columns = shape.rank() == 0 ? 1 : shape.intDim(-1);
          convert(
              DType.F32,
              floats.address(),
              columns,
              tensor.dtype(),
              dense.address(),
              columns,
              shape.elements() / columns,
              columns);
        }
      }
      default -> {
        CudaTensor packed = tensor.contiguous("block-quantised numbers");
        unpack(DType.F32, floats.address(), packed.dtype(), packed.address(), shape.elements());
      }
    }
  }

  /** Returns the part of a kernel's name that says its element type. */
  static String suffix(DType dtype) {
    return switch (dtype) {
      case F32 -> "f32";
      case F16 -> "f16";
      case BF16 -> "bf16";
      case Q8_0 -> "q8_0";
      case Q4_0 -> "q4_0";
      case Q4_1 -> "q4_1";
      case Q5_0 -> "q5_0";
      case Q5_1 -> "q5_1";
      case Q4_K -> "q4_k";
      case Q5_K -> "q5_k";
      case Q6_K -> "q6_k";
      case I32 -> throw new AssertionError("no kernel computes with whole numbers");
    };
  }
}
