package org.parallelcomp.cli;

import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.parallelcomp.api.backend.BackendInfo;
import org.parallelcomp.api.policy.Plan;
import org.parallelcomp.engine.BackendStatus;
import org.parallelcomp.engine.EngineConfig;
import org.parallelcomp.engine.GenerationRequest;
import org.parallelcomp.engine.GenerationResult;
import org.parallelcomp.engine.ModelInfo;
import org.parallelcomp.engine.PolicyCatalog;
import org.parallelcomp.engine.TokenSink;

/** What the commands need of {@link org.parallelcomp.engine.Engine}; tests put their own here. */
interface EngineAccess {
  Opened open(EngineConfig config);

  List<BackendStatus> backends();

  /**
   * Returns every policy and preset.
   *
   * @param plugins a folder of jars with further ones, or null for none
   */
  PolicyCatalog policies(@Nullable Path plugins);

  /** Returns every policy and preset that needs no plugin. */
  default PolicyCatalog policies() {
    return policies(null);
  }

  ModelInfo inspect(Path model);

  String readText(Path file);

  /** Returns the file of the bundled model. */
  Path bundledModel();

  /** An open model. */
  interface Opened extends AutoCloseable {
    Plan plan(String preset);

    ModelInfo model();

    BackendInfo backend();

    GenerationResult generate(GenerationRequest request, TokenSink sink);

    @Override
    void close();
  }
}
