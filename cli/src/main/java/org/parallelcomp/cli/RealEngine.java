package org.parallelcomp.cli;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.parallelcomp.api.backend.BackendInfo;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.policy.Plan;
import org.parallelcomp.engine.BackendStatus;
import org.parallelcomp.engine.Engine;
import org.parallelcomp.engine.EngineConfig;
import org.parallelcomp.engine.GenerationRequest;
import org.parallelcomp.engine.GenerationResult;
import org.parallelcomp.engine.ModelInfo;
import org.parallelcomp.engine.PolicyCatalog;
import org.parallelcomp.engine.TokenSink;
import org.parallelcomp.models.needle6m.Needle6m;

/** The engine itself. */
final class RealEngine implements EngineAccess {
  @Override
  public Opened open(EngineConfig config) {
    return new OpenedEngine(Engine.open(config));
  }

  @Override
  public List<BackendStatus> backends() {
    return Engine.backends();
  }

  @Override
  public PolicyCatalog policies(@Nullable Path plugins) {
    return Engine.policies(plugins);
  }

  @Override
  public ModelInfo inspect(Path model) {
    return Engine.inspect(model);
  }

  @Override
  public String readText(Path file) {
    return Engine.readText(file);
  }

  @Override
  public Path bundledModel() {
    try {
      return Needle6m.path();
    } catch (IOException e) {
      throw new InferenceException(
          ErrorCode.FILE_NOT_READABLE,
          "The bundled model cannot be copied to a file ("
              + e
              + "); set XDG_CACHE_HOME to a"
              + " folder that can be written, or name a model with --model.",
          e);
    }
  }

  private record OpenedEngine(Engine engine) implements Opened {
    @Override
    public Plan plan(String preset) {
      return engine.plan(preset);
    }

    @Override
    public ModelInfo model() {
      return engine.model();
    }

    @Override
    public BackendInfo backend() {
      return engine.backend();
    }

    @Override
    public GenerationResult generate(GenerationRequest request, TokenSink sink) {
      return engine.generate(request, sink);
    }

    @Override
    public void close() {
      engine.close();
    }
  }
}
