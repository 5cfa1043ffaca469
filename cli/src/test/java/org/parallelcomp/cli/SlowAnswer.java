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

/** A process whose answer never ends by itself; {@link InterruptTest} interrupts it. */
final class SlowAnswer implements EngineAccess {
  private final FakeEngine fake = new FakeEngine();

  private SlowAnswer() {}

  /** Asks, and ends as the command does. */
  public static void main(String[] args) {
    var streams = new Streams(System.in, System.out, System.err, false);
    System.exit(new ParallelComp(new SlowAnswer(), streams).run("ask", "-t", "b", "q"));
  }

  @Override
  public Opened open(EngineConfig config) {
    return new Opened() {
      @Override
      public Plan plan(String preset) {
        return policies(null).preset(preset).plan();
      }

      @Override
      public ModelInfo model() {
        return inspect(config.model());
      }

      @Override
      public BackendInfo backend() {
        throw new UnsupportedOperationException();
      }

      @Override
      public GenerationResult generate(GenerationRequest request, TokenSink sink) {
        sink.onText("begun ");
        while (!request.cancellation().isCancelled()) {
          Thread.onSpinWait();
        }
        return fake.result(request);
      }

      @Override
      public void close() {
        System.out.print("freed ");
      }
    };
  }

  @Override
  public List<BackendStatus> backends() {
    return fake.backends();
  }

  @Override
  public PolicyCatalog policies(@Nullable Path plugins) {
    return fake.policies(plugins);
  }

  @Override
  public ModelInfo inspect(Path model) {
    return fake.inspect(model);
  }

  @Override
  public String readText(Path file) {
    return fake.readText(file);
  }

  @Override
  public Path bundledModel() {
    return fake.bundledModel();
  }
}
