package org.parallelcomp.cli;

import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.engine.EngineConfig;
import picocli.CommandLine.Option;

/** Which model to open, and on what. */
final class ModelOptions {
  private static final String ONNX = "onnx";

  @Option(
      names = {"-m", "--model"},
      paramLabel = "PATH",
      description =
          "A .gguf file, or a folder with safetensors, config.json and tokenizer.json. Default:"
              + " the bundled model needle-6m.")
  private @Nullable Path model;

  @Option(
      names = "--backend",
      paramLabel = "ID",
      description = "What computes; see 'parallelcomp backends'. Default: the best usable one.")
  private @Nullable String backend;

  @Option(
      names = "--backend-option",
      paramLabel = "KEY=VALUE",
      description = "A setting that only the backend knows; may be repeated.")
  private Map<String, String> backendOptions = new LinkedHashMap<>();

  @Option(
      names = "--onnx-provider",
      paramLabel = "NAME",
      description =
          "Where ONNX Runtime computes: cpu, cuda, tensorrt, openvino, coreml, directml and others;"
              + " means --backend onnx --backend-option provider=NAME.")
  private @Nullable String onnxProvider;

  @Option(
      names = "--onnx-precision",
      paramLabel = "NAME",
      description =
          "What ONNX Runtime multiplies as: f32, int8 (the default, loses less than 1 % of"
              + " perplexity) or int4 (likewise on a file of 4-bit blocks, 10 % and more on others);"
              + " means --backend onnx --backend-option precision=NAME.")
  private @Nullable String onnxPrecision;

  @Option(
      names = "--devices",
      paramLabel = "ID",
      split = ",",
      description =
          "Devices of the backend to spread chunks over, such as 0,1; each holds the whole model."
              + " Default: the backend's choice of one.")
  private List<String> devices = List.of();

  @Option(
      names = "--threads",
      paramLabel = "COUNT",
      description = "Worker threads. Default: one for every processor.")
  private @Nullable Integer threads;

  EngineConfig config(EngineAccess engine) {
    requireSome(threads);
    var options = new LinkedHashMap<>(backendOptions);
    String chosen = backend;
    chosen = forOnnx("--onnx-provider", "provider", onnxProvider, chosen, options);
    chosen = forOnnx("--onnx-precision", "precision", onnxPrecision, chosen, options);
    var config =
        EngineConfig.of(model == null ? engine.bundledModel() : model)
            .withBackendOptions(options)
            .withDevices(devices);
    if (chosen != null) {
      config = config.withBackend(chosen);
    }
    return threads == null ? config : config.withThreads(threads);
  }

  /** Refuses a number of threads, if one was given, that is none. */
  static void requireSome(@Nullable Integer threads) {
    if (threads != null && threads < 1) {
      throw new InferenceException(
          ErrorCode.INVALID_ARGUMENT,
          "The number of threads must be at least 1, not " + threads + ".");
    }
  }

  /** Adds an option that only the ONNX backend has; returns the backend that is then meant. */
  private static @Nullable String forOnnx(
      String name,
      String key,
      @Nullable String value,
      @Nullable String backend,
      Map<String, String> options) {
    if (value == null) {
      return backend;
    }
    if (backend != null && !backend.equals(ONNX)) {
      throw new InferenceException(
          ErrorCode.INVALID_ARGUMENT,
          name + " belongs to the backend " + ONNX + ", not to " + backend + ".");
    }
    String other = options.put(key, value);
    if (other != null) {
      throw new InferenceException(
          ErrorCode.INVALID_ARGUMENT,
          name + " " + value + " contradicts --backend-option " + key + "=" + other + ".");
    }
    return ONNX;
  }
}
