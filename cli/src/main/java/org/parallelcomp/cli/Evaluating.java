package org.parallelcomp.cli;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import org.parallelcomp.engine.Engine;
import org.parallelcomp.engine.EngineConfig;
import org.parallelcomp.eval.CaseLog;
import org.parallelcomp.eval.Environment;
import org.parallelcomp.eval.EvalResult;
import org.parallelcomp.eval.EvalSpec;
import org.parallelcomp.eval.Evaluation;
import org.parallelcomp.eval.ResultFiles;

/** One evaluation from its specification to its files. */
final class Evaluating {
  private final ParallelComp command;
  private final Streams streams;
  private final ProgressLine progress;

  Evaluating(ParallelComp command, boolean showsProgress) {
    this.command = command;
    this.streams = command.streams();
    this.progress = new ProgressLine(streams.err(), showsProgress);
  }

  /** Runs what the options say, writes the files, prints the table; returns the exit status. */
  int run(EvalOptions options, EvalSpec spec) {
    EngineConfig config = options.model().config(command.engine()).withPlugins(command.plugins());
    String name = options.name(spec.kind());
    Path log = options.out().resolve(name + ".cases.jsonl");
    Optional<EvalResult> result = evaluate(config, options.engines(), spec, log);
    if (result.isEmpty()) {
      streams
          .err()
          .println("parallelcomp: Interrupted; the same command goes on where this one was.");
      return ExitStatus.INTERRUPTED;
    }
    EvalResult shown = options.times() ? result.get() : result.get().withoutTimes();
    List<Path> files =
        options.pictures()
            ? ResultFiles.write(shown, options.out(), name)
            : ResultFiles.writeWithoutPictures(shown, options.out(), name);
    streams.out().print(ResultFiles.markdown(shown));
    streams.out().println();
    files.forEach(file -> streams.out().println("wrote " + file));
    return 0;
  }

  /**
   * Returns the result, or nothing if it was interrupted.
   *
   * @param count engines that share the cases
   */
  Optional<EvalResult> evaluate(EngineConfig config, int count, EvalSpec spec, Path log) {
    try (var interrupt = new Interrupt()) {
      progress.say("loading " + config.model().getFileName());
      List<Engine> engines = new ArrayList<>();
      try {
        for (int i = 0; i < count; i++) {
          engines.add(Engine.open(config));
        }
        Environment environment =
            Environment.of(
                engines.getFirst(), config, bundled(config), ParallelComp.Version.number());
        var evaluation = new Evaluation(engines, spec, environment);
        CaseLog cases = CaseLog.open(log, spec, environment);
        return evaluation.run(cases, new EvalProgress(progress), interrupt.cancellation());
      } finally {
        engines.forEach(Engine::close);
        progress.clear();
      }
    }
  }

  /** The file of the bundled model, asked for only where it may be the one. */
  private @Nullable Path bundled(EngineConfig config) {
    return config.model().isAbsolute() ? command.engine().bundledModel() : null;
  }
}
