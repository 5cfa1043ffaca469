package org.parallelcomp.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.engine.EngineConfig;
import org.parallelcomp.eval.Difference;
import org.parallelcomp.eval.EvalResult;
import org.parallelcomp.eval.FileFact;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Repeats a result and compares. */
@Command(
    name = "rerun",
    customSynopsis = "parallelcomp eval rerun [OPTIONS] FILE",
    description =
        "Repeats the evaluation of a result file with the model, backend, plans and seeds that it"
            + " names, and says which cases differ; times are not compared. The exit status is 1 if"
            + " any differs.",
    mixinStandardHelpOptions = true,
    versionProvider = ParallelComp.Version.class,
    sortOptions = false)
final class EvalRerunCommand implements Callable<Integer> {
  private static final int SHOWN = 20;

  private final ParallelComp command;

  @Parameters(paramLabel = "FILE", description = "The JSON file of a result.")
  private Path file = Path.of("");

  @Option(
      names = {"-m", "--model"},
      paramLabel = "PATH",
      description = "Where the model lies now. Default: where it was.")
  private @Nullable Path model;

  @Option(names = "--backend", paramLabel = "ID", description = "What computes. Default: what did.")
  private @Nullable String backend;

  @Option(
      names = "--tolerance",
      paramLabel = "SHARE",
      description =
          "Largest relative difference of log-likelihoods and divergences that counts as none."
              + " Default: ${DEFAULT-VALUE}.")
  private double tolerance = 1e-4;

  @Option(names = "--no-progress", description = "Shows no progress on standard error.")
  private boolean noProgress;

  EvalRerunCommand(ParallelComp command) {
    this.command = command;
  }

  @Override
  public Integer call() {
    Streams streams = command.streams();
    EvalResult before = EvalResult.read(file);
    var evaluating = new Evaluating(command, streams.errIsTerminal() && !noProgress);
    // The cases so far lie beside the file, so that a repetition that was stopped goes on too.
    Path log = Path.of(file + ".rerun-cases.jsonl");
    Optional<EvalResult> now = evaluating.evaluate(config(before), 1, before.spec(), log);
    if (now.isEmpty()) {
      streams
          .err()
          .println("parallelcomp: Interrupted; the same command goes on where this one was.");
      return ExitStatus.INTERRUPTED;
    }
    delete(log);
    print(
        streams,
        "made with another ",
        Difference.ofEnvironments(before.environment(), now.get().environment()));
    List<Difference> differences = Difference.ofCases(before, now.get(), tolerance);
    print(streams, "", differences);
    long cases = differences.stream().map(Difference::where).distinct().count();
    streams
        .out()
        .println(
            differences.isEmpty()
                ? "All " + before.cases().size() + " cases are as they were."
                : cases + " of " + before.cases().size() + " cases differ.");
    return differences.isEmpty() ? 0 : ExitStatus.DIFFERENT;
  }

  private EngineConfig config(EvalResult before) {
    String path = before.environment().model().path();
    Path file =
        model != null
            ? model
            : path.equals(FileFact.BUNDLED) ? command.engine().bundledModel() : Path.of(path);
    EngineConfig config = before.environment().config(file).withPlugins(command.plugins());
    return backend == null ? config : config.withBackend(backend).withDevices(List.of());
  }

  private static void print(Streams streams, String prefix, List<Difference> differences) {
    for (Difference difference : differences.subList(0, Math.min(SHOWN, differences.size()))) {
      streams
          .out()
          .println(
              difference.where()
                  + ": "
                  + prefix
                  + difference.what()
                  + ": "
                  + Json.quoted(difference.before())
                  + " was, "
                  + Json.quoted(difference.now())
                  + " is");
    }
    if (differences.size() > SHOWN) {
      streams.out().println((differences.size() - SHOWN) + " more differences");
    }
  }

  private static void delete(Path log) {
    try {
      Files.deleteIfExists(log);
    } catch (IOException e) {
      throw new InferenceException(
          ErrorCode.FILE_NOT_READABLE,
          "'" + log + "' cannot be deleted: " + e.getMessage() + ".",
          e);
    }
  }
}
