package org.parallelcomp.eval;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;
import org.parallelcomp.api.backend.BackendInfo;
import org.parallelcomp.engine.Engine;
import org.parallelcomp.engine.EngineConfig;
import org.parallelcomp.engine.ModelInfo;

/**
 * What a result was made with.
 *
 * @param model the model's file or folder
 * @param modelName its name
 * @param templateSha256 of its chat template
 * @param stopTokens tokens that end its turn
 * @param trainedWindow tokens that it was trained on at once
 * @param backend id of the backend
 * @param device what computes, in words
 * @param threads worker threads
 * @param backendOptions settings that only the backend knows
 * @param devices of the backend on which the chunks were spread; none for its own choice, which
 *     files from before there was one do not name
 * @param isa instruction set and what else the backend says of itself
 * @param version of ParallelComp
 * @param java version of Java
 * @param system operating system and its architecture
 */
public record Environment(
    FileFact model,
    String modelName,
    String templateSha256,
    List<Integer> stopTokens,
    int trainedWindow,
    String backend,
    String device,
    int threads,
    Map<String, String> backendOptions,
    List<String> devices,
    Map<String, String> isa,
    String version,
    String java,
    String system) {
  public Environment {
    devices = devices == null ? List.of() : List.copyOf(devices);
  }

  /**
   * Returns what an open engine is.
   *
   * @param config that the engine was opened with
   * @param bundledModel file of the bundled model, or null where there is none
   * @param version of ParallelComp
   */
  public static Environment of(
      Engine engine, EngineConfig config, @Nullable Path bundledModel, String version) {
    FileFact file = FileFact.of(config.model());
    if (config.model().equals(bundledModel)) {
      file = new FileFact(FileFact.BUNDLED, file.sha256());
    }
    ModelInfo model = engine.model();
    BackendInfo backend = engine.backend();
    return new Environment(
        file,
        model.name(),
        Sha256.of(model.chatTemplate()),
        model.stopTokens(),
        model.trainedWindow(),
        backend.id(),
        backend.device(),
        backend.threads(),
        new TreeMap<>(config.backendOptions()),
        config.devices(),
        new TreeMap<>(backend.facts()),
        version,
        Runtime.version().toString(),
        System.getProperty("os.name") + " " + System.getProperty("os.arch"));
  }

  /**
   * Returns whether both compute in the same way, so that even bytes and the last digits can be
   * compared: the same backend with the same options.
   */
  public boolean computesLike(Environment other) {
    return backend.equals(other.backend) && backendOptions.equals(other.backendOptions);
  }

  /**
   * Returns a configuration that opens a model on the same backend.
   *
   * @param file where the model lies now
   */
  public EngineConfig config(Path file) {
    return EngineConfig.of(file)
        .withBackend(backend)
        .withThreads(threads)
        .withBackendOptions(backendOptions)
        .withDevices(devices);
  }
}
