package org.parallelcomp.backend.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.backend.cuda.ffi.KernelCompiler;
import org.parallelcomp.backend.cuda.ffi.Library;
import org.parallelcomp.backend.cuda.ffi.NativeLibraries;

/** Every kernel compiles, where the compiler is; no device is needed. */
class KernelsCompileTest {
  private static final List<String> PLAIN = List.of("f32", "f16", "bf16");

  @BeforeAll
  static void requireCompiler() {
    NativeLibraries.Report report = NativeLibraries.load();
    assumeTrue(
        report.loaded(Library.NVRTC).isPresent(),
        () -> "NVRTC is not here: " + report.refusals(Library.NVRTC));
  }

  @ParameterizedTest
  @EnumSource
  void compilesForHopperAndHasEveryKernelThatIsCalled(KernelSource source) {
    String cubin =
        new String(KernelCompiler.compile(source.request("sm_90a")), StandardCharsets.ISO_8859_1);
    Set<String> missing = new TreeSet<>();
    for (String kernel : called(source)) {
      if (!cubin.contains(".text." + kernel + "\0")) {
        missing.add(kernel);
      }
    }
    assertEquals(Set.of(), missing);
  }

  /** The names that the launches of the operations put together. */
  private static List<String> called(KernelSource source) {
    var names = new ArrayList<String>();
    switch (source) {
      case ELEMENTWISE -> {
        names.addAll(
            List.of(
                "binary_f32",
                "unary_f32",
                "where_f32",
                "fill_f32",
                "range_f32",
                "copy_2",
                "copy_4",
                "gather_4",
                "add_f32",
                "add_bias_f32"));
        for (String from : PLAIN) {
          for (String to : PLAIN) {
            if (!from.equals(to)) {
              names.add("convert_" + from + "_" + to);
            }
          }
        }
      }
      case REDUCE ->
          names.addAll(
              List.of(
                  "reduce_rows_f32",
                  "reduce_axis_f32",
                  "softmax_f32",
                  "pool_f32",
                  "arg_max_f32",
                  "token_log_likelihood_f32",
                  "count_selected_f32",
                  "write_selected_f32",
                  "write_mask_f32"));
      case TOPK -> names.add("top_k_f32");
      case LINALG -> names.addAll(List.of("matmul_f32", "cholesky_solve_f32"));
      case DECODER ->
          names.addAll(
              List.of(
                  "rms_norm_f32_f32",
                  "rms_norm_f32_bf16",
                  "rope_f32",
                  "swiglu_f32_f32",
                  "swiglu_bf16_bf16"));
      case QUANT -> {
        for (DType dtype : weights()) {
          names.add("embed_" + Moves.suffix(dtype));
          if (dtype.isBlock()) {
            names.add("dequantize_" + Moves.suffix(dtype) + "_f32");
            names.add("dequantize_" + Moves.suffix(dtype) + "_bf16");
          }
        }
      }
      case GEMV -> {
        for (DType dtype : weights()) {
          names.add("gemv_" + Moves.suffix(dtype));
          names.add("gemv_swiglu_" + Moves.suffix(dtype));
        }
      }
      case ATTENTION -> {
        names.addAll(List.of("attend_f32", "merge_partial_f32"));
        for (String cache : PLAIN) {
          names.add("attend_split_" + cache);
          names.add("attention_mass_" + cache);
        }
      }
      case ATTENTION_TILES -> {
        for (int headDim = 8; headDim <= CudaAttentionOps.MOST_HEAD_DIM; headDim += 8) {
          names.add("attend_bf16_d" + CudaAttentionOps.tileHeadDim(headDim));
          names.add("attend_f16_d" + CudaAttentionOps.tileHeadDim(headDim));
        }
      }
      case CACHE -> {
        names.add("move_tokens");
        for (String cache : PLAIN) {
          names.add("append_" + cache);
          names.add("append_next_" + cache);
          names.add("rerotate_" + cache);
        }
      }
    }
    return names;
  }

  private static List<DType> weights() {
    return List.of(DType.values()).stream().filter(dtype -> dtype != DType.I32).toList();
  }
}
