package org.parallelcomp.engine;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.parallelcomp.api.backend.BackendConfig;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;

/**
 * What to open.
 *
 * @param model a .gguf file, or a folder with safetensors, config.json and tokenizer.json
 * @param backend the id of a backend, or null for the usable one with the highest score
 * @param threads worker threads of the backend, at least 1
 * @param backendOptions settings that only the backend knows
 * @param devices which devices of the backend to spread chunks over, each holding the whole model,
 *     as its option {@code device} names them; empty for the backend's choice of one
 * @param plugins a folder of jars with further policies, or null for none
 */
public record EngineConfig(
    Path model,
    @Nullable String backend,
    int threads,
    Map<String, String> backendOptions,
    List<String> devices,
    @Nullable Path plugins) {
  public EngineConfig {
    backendOptions = Map.copyOf(backendOptions);
    devices = List.copyOf(devices);
  }

  /** Returns a configuration with the best backend and a thread for every processor. */
  public static EngineConfig of(Path model) {
    return new EngineConfig(
        model, null, Runtime.getRuntime().availableProcessors(), Map.of(), List.of(), null);
  }

  /** Returns this configuration with a backend chosen by its id. */
  public EngineConfig withBackend(String id) {
    return new EngineConfig(model, id, threads, backendOptions, devices, plugins);
  }

  /** Returns this configuration with another number of threads. */
  public EngineConfig withThreads(int count) {
    return new EngineConfig(model, backend, count, backendOptions, devices, plugins);
  }

  /** Returns this configuration with other settings for the backend. */
  public EngineConfig withBackendOptions(Map<String, String> options) {
    return new EngineConfig(model, backend, threads, options, devices, plugins);
  }

  /** Returns this configuration with a folder of jars with further policies. */
  public EngineConfig withPlugins(@Nullable Path folder) {
    return new EngineConfig(model, backend, threads, backendOptions, devices, folder);
  }

  /** Returns this configuration with chunks spread over devices. */
  public EngineConfig withDevices(List<String> names) {
    return new EngineConfig(model, backend, threads, backendOptions, names, plugins);
  }

  /**
   * Returns the options of each device that is to be opened.
   *
   * @throws InferenceException INVALID_ARGUMENT if a device is named twice
   */
  public List<Map<String, String>> optionsOfDevices() {
    if (devices.isEmpty()) {
      return List.of(backendOptions);
    }
    if (new HashSet<>(devices).size() < devices.size()
        || backendOptions.containsKey(BackendConfig.DEVICE)) {
      throw new InferenceException(
          ErrorCode.INVALID_ARGUMENT,
          "Each device can be named once: the devices are " + String.join(", ", devices) + ".");
    }
    var options = new ArrayList<Map<String, String>>();
    for (String device : devices) {
      var all = new HashMap<>(backendOptions);
      all.put(BackendConfig.DEVICE, device);
      options.add(Map.copyOf(all));
    }
    return options;
  }
}
