package org.parallelcomp.backend.cuda.ffi;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;

/** NVRTC, where it is; no device is needed. */
class KernelCompilerTest {
  @BeforeAll
  static void requireCompiler() {
    NativeLibraries.Report report = NativeLibraries.load();
    assumeTrue(
        report.loaded(Library.NVRTC).isPresent(),
        () -> "NVRTC is not here: " + report.refusals(Library.NVRTC));
  }

  @Test
  void compilesToMachineCodeWithHeadersFromMemory() {
    var request =
        new KernelCompiler.Request(
            "good.cu",
            "#include \"factor.cuh\"\n"
                + "extern \"C\" __global__ void scale(float* x) { x[threadIdx.x] *= FACTOR; }\n",
            Map.of("factor.cuh", "#define FACTOR 3.0f\n"),
            "sm_90a",
            List.of("--std=c++17"));
    byte[] cubin = KernelCompiler.compile(request);
    assertArrayEquals(new byte[] {0x7F, 'E', 'L', 'F'}, Arrays.copyOf(cubin, 4));
  }

  @Test
  void anErrorIsToldInTheCompilersWords() {
    var request =
        new KernelCompiler.Request(
            "broken.cu", "__global__ void f() { nonsense; }", Map.of(), "sm_90a", List.of());
    InferenceException refused =
        assertThrows(InferenceException.class, () -> KernelCompiler.compile(request));
    assertEquals(ErrorCode.DEVICE_FAILURE, refused.code());
    assertTrue(refused.getMessage().contains("nonsense"), refused.getMessage());
    assertTrue(refused.getMessage().contains("broken.cu"), refused.getMessage());
  }

  @Test
  void anArchitectureThatDoesNotExistIsTheLibrarysError() {
    var request = new KernelCompiler.Request("any.cu", "", Map.of(), "sm_1", List.of());
    InferenceException refused =
        assertThrows(InferenceException.class, () -> KernelCompiler.compile(request));
    assertTrue(
        refused.getMessage().startsWith("nvrtcCompileProgram(any.cu) of NVRTC failed: NVRTC_"),
        refused.getMessage());
  }
}
