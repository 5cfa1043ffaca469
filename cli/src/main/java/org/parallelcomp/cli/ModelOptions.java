package org.parallelcomp.cli;

import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.engine.EngineConfig;
import picocli.CommandLine.Option;

/** Which model to open, and on what. */
final class ModelOptions {
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
      names = "--threads",
      paramLabel = "COUNT",
      description = "Worker threads. Default: one for every processor.")
  private @Nullable Integer threads;

  EngineConfig config(EngineAccess engine) {
    if (threads != null && threads < 1) {
      throw new InferenceException(
          ErrorCode.INVALID_ARGUMENT,
          "The number of threads must be at least 1, not " + threads + ".");
    }
    var config =
        EngineConfig.of(model == null ? engine.bundledModel() : model)
            .withBackendOptions(backendOptions);
    if (backend != null) {
      config = config.withBackend(backend);
    }
    return threads == null ? config : config.withThreads(threads);
  }
}
