package org.parallelcomp.backend.onnx.runtime;

import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

/** Execution providers: by what name users choose them, and where to get those that are missing. */
public final class Providers {
  /**
   * One execution provider.
   *
   * @param runtimeName as the library lists it
   * @param apiName as the library's function to append one wants it
   * @param source what to add if the library at hand lacks it
   */
  private record Provider(String runtimeName, String apiName, String source) {}

  private static final String GPU_ARTIFACT =
      "the artifact com.microsoft.onnxruntime:onnxruntime_gpu in place of onnxruntime";

  private static final Map<String, Provider> ALL =
      Map.of(
          "cpu",
          new Provider("CPUExecutionProvider", "CPU", "any build of ONNX Runtime"),
          "cuda",
          new Provider("CUDAExecutionProvider", "CUDA", GPU_ARTIFACT),
          "tensorrt",
          new Provider("TensorrtExecutionProvider", "TensorRT", GPU_ARTIFACT),
          "openvino",
          new Provider("OpenVINOExecutionProvider", "OpenVINO", build("onnxruntime-openvino")),
          "coreml",
          new Provider(
              "CoreMLExecutionProvider",
              "CoreML",
              "the artifact com.microsoft.onnxruntime:onnxruntime on macOS"),
          "directml",
          new Provider("DmlExecutionProvider", "DML", build("onnxruntime-directml")),
          "qnn",
          new Provider("QNNExecutionProvider", "QNN", build("onnxruntime-qnn")),
          "xnnpack",
          new Provider("XnnpackExecutionProvider", "XNNPACK", build("onnxruntime with XNNPACK")),
          "webgpu",
          new Provider("WebGpuExecutionProvider", "WebGPU", build("onnxruntime-webgpu")));

  private Providers() {}

  private static String build(String name) {
    return "the library of a build such as "
        + name
        + ", named with -D"
        + OrtLibrary.PROPERTY
        + "=FILE";
  }

  /** Returns the names by which users choose. */
  public static List<String> names() {
    return ALL.keySet().stream().sorted().toList();
  }

  /** Returns the names of those that a library holds, the processor's last. */
  public static List<String> available(OrtLibrary library) {
    return library.providers().stream()
        .flatMap(
            name ->
                ALL.entrySet().stream()
                    .filter(entry -> entry.getValue().runtimeName.equals(name))
                    .map(Map.Entry::getKey))
        .collect(Collectors.toList());
  }

  /** Returns the names of those that a library lacks. */
  public static List<String> missing(OrtLibrary library) {
    List<String> available = available(library);
    return names().stream().filter(name -> !available.contains(name)).toList();
  }

  /** Returns what to add for a provider that is missing. */
  public static String source(String provider) {
    return ALL.get(provider).source;
  }

  static String apiName(String provider) {
    return ALL.get(provider).apiName;
  }
}
