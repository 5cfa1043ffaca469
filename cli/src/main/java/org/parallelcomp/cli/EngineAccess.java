package org.parallelcomp.cli;

import java.nio.file.Path;
import java.util.List;
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

  PolicyCatalog policies();

  ModelInfo inspect(Path model);

  String readText(Path file);

  /** Returns the file of the bundled model. */
  Path bundledModel();

  /** An open model. */
  interface Opened extends AutoCloseable {
    Plan plan(String preset);

    ModelInfo model();

    GenerationResult generate(GenerationRequest request, TokenSink sink);

    @Override
    void close();
  }
}
