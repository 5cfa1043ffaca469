package org.parallelcomp.engine;

import java.nio.file.Path;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * What to open.
 *
 * @param model a .gguf file, or a folder with safetensors, config.json and tokenizer.json
 * @param backend the id of a backend, or null for the usable one with the highest score
 * @param threads worker threads of the backend, at least 1
 * @param backendOptions settings that only the backend knows
 * @param plugins a folder of jars with further policies, or null for none
 */
public record EngineConfig(
    Path model,
    @Nullable String backend,
    int threads,
    Map<String, String> backendOptions,
    @Nullable Path plugins) {
  public EngineConfig {
    backendOptions = Map.copyOf(backendOptions);
  }

  /** Returns a configuration with the best backend and a thread for every processor. */
  public static EngineConfig of(Path model) {
    return new EngineConfig(
        model, null, Runtime.getRuntime().availableProcessors(), Map.of(), null);
  }

  /** Returns this configuration with a backend chosen by its id. */
  public EngineConfig withBackend(String id) {
    return new EngineConfig(model, id, threads, backendOptions, plugins);
  }

  /** Returns this configuration with another number of threads. */
  public EngineConfig withThreads(int count) {
    return new EngineConfig(model, backend, count, backendOptions, plugins);
  }

  /** Returns this configuration with other settings for the backend. */
  public EngineConfig withBackendOptions(Map<String, String> options) {
    return new EngineConfig(model, backend, threads, options, plugins);
  }

  /** Returns this configuration with a folder of jars with further policies. */
  public EngineConfig withPlugins(@Nullable Path folder) {
    return new EngineConfig(model, backend, threads, backendOptions, folder);
  }
}
