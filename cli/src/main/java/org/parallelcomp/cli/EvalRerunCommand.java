package org.parallelcomp.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.engine.EngineConfig;
import org.parallelcomp.eval.Difference;
import org.parallelcomp.eval.Environment;
import org.parallelcomp.eval.EvalResult;
import org.parallelcomp.eval.FileFact;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Repeats results and compares. */
@Command(
    name = "rerun",
    customSynopsis = "parallelcomp eval rerun [OPTIONS] FILE...",
    description =
        "Repeats the evaluations of result files with the model, backend, plans and seeds that they"
            + " name, and says which cases differ; times are not compared, nor bytes with another"
            + " backend. The exit status is 1 if any case differs, and higher if a file could not be"
            + " repeated.",
    mixinStandardHelpOptions = true,
    versionProvider = ParallelComp.Version.class,
    sortOptions = false)
final class EvalRerunCommand implements Callable<Integer> {
  private static final int SHOWN = 20;
  private static final double TOLERANCE = 1e-4;

  /** Backends round differently, and hold keys and values in numbers of other types. */
  private static final double TOLERANCE_OF_ANOTHER_BACKEND = 1e-2;

  private final ParallelComp command;

  @Parameters(paramLabel = "FILE", arity = "1..*", description = "JSON files of results.")
  private List<Path> files = List.of();

  @Option(
      names = {"-m", "--model"},
      paramLabel = "PATH",
      description = "Where the model lies now. Default: where it was.")
  private @Nullable Path model;

  @Option(
      names = "--backend",
      paramLabel = "ID",
      description =
          "What computes. Default: what did, with its threads, options and devices; another one has"
              + " its own defaults.")
  private @Nullable String backend;

  @Option(
      names = "--backend-option",
      paramLabel = "KEY=VALUE",
      description = "A setting that only the backend knows; may be repeated.")
  private Map<String, String> backendOptions = new LinkedHashMap<>();

  @Option(
      names = "--devices",
      paramLabel = "ID",
      split = ",",
      description = "Devices of the backend to spread chunks over, such as 0,1.")
  private List<String> devices = List.of();

  @Option(names = "--threads", paramLabel = "COUNT", description = "Worker threads.")
  private @Nullable Integer threads;

  @Option(
      names = "--engines",
      paramLabel = "COUNT",
      description = "Engines that share the cases. Default: ${DEFAULT-VALUE}.")
  private int engines = 1;

  @Option(
      names = "--tolerance",
      paramLabel = "SHARE",
      description =
          "Largest relative difference of log-likelihoods and divergences that counts as none."
              + " Default: 0.0001, and 0.01 with another backend or other options of it.")
  private @Nullable Double tolerance;

  @Option(names = "--no-progress", description = "Shows no progress on standard error.")
  private boolean noProgress;

  EvalRerunCommand(ParallelComp command) {
    this.command = command;
  }

  @Override
  public Integer call() {
    ModelOptions.requireSome(threads);
    EvalOptions.requireSome(engines);
    Streams streams = command.streams();
    var evaluating = new Evaluating(command, streams.errIsTerminal() && !noProgress);
    int worst = 0;
    for (Path file : files) {
      if (files.size() > 1) {
        streams.out().println(file);
        streams.out().flush();
      }
      int status;
      try {
        status = repeat(file, evaluating);
      } catch (InferenceException e) {
        // What is wrong with one file says nothing of the next.
        status = command.fail(e);
      }
      if (status == ExitStatus.INTERRUPTED) {
        return status;
      }
      worst = Math.max(worst, status);
    }
    return worst;
  }

  private int repeat(Path file, Evaluating evaluating) {
    Streams streams = command.streams();
    EvalResult before = EvalResult.read(file);
    // The cases so far lie beside the file, so that a repetition that was stopped goes on too.
    Path log = Path.of(file + ".rerun-cases.jsonl");
    Optional<EvalResult> now =
        evaluating.evaluate(config(file, before.environment()), engines, before.spec(), log);
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
    boolean alike = before.environment().computesLike(now.get().environment());
    double allowed =
        tolerance != null ? tolerance : alike ? TOLERANCE : TOLERANCE_OF_ANOTHER_BACKEND;
    List<Difference> differences = Difference.ofCases(before, now.get(), allowed);
    print(streams, "", differences);
    streams.out().println(verdict(before.cases().size(), differences));
    if (!alike) {
      streams
          .out()
          .println(
              "Compared were scores, answers, ends, tokens of the text, kept chunks and, within "
                  + allowed
                  + ", likelihoods and attention; not times and bytes, which are another backend's"
                  + " own.");
    }
    return differences.isEmpty() ? 0 : ExitStatus.DIFFERENT;
  }

  /** Returns how many cases differ, and how many in what. */
  private static String verdict(int cases, List<Difference> differences) {
    if (differences.isEmpty()) {
      return "All " + cases + " cases are as they were.";
    }
    String kinds =
        differences.stream()
            .collect(Collectors.groupingBy(Difference::what, TreeMap::new, Collectors.counting()))
            .entrySet()
            .stream()
            .map(kind -> kind.getKey() + " in " + kind.getValue())
            .collect(Collectors.joining(", "));
    long different = differences.stream().map(Difference::where).distinct().count();
    return different + " of " + cases + " cases differ: " + kinds + ".";
  }

  private EngineConfig config(Path file, Environment before) {
    Path where = model != null ? model : recordedModel(file, before.model().path());
    boolean another = backend != null && !backend.equals(before.backend());
    EngineConfig config =
        another ? EngineConfig.of(where).withBackend(backend) : before.config(where);
    if (!backendOptions.isEmpty()) {
      var options = new LinkedHashMap<>(config.backendOptions());
      options.putAll(backendOptions);
      config = config.withBackendOptions(options);
    }
    if (!devices.isEmpty()) {
      config = config.withDevices(devices);
    }
    if (threads != null) {
      config = config.withThreads(threads);
    }
    return config.withPlugins(command.plugins());
  }

  private Path recordedModel(Path file, String path) {
    if (path.equals(FileFact.BUNDLED)) {
      return command.engine().bundledModel();
    }
    if (!Files.exists(Path.of(path))) {
      throw new InferenceException(
          ErrorCode.FILE_NOT_READABLE,
          "'"
              + file
              + "' was made with the model '"
              + path
              + "', which is not there; name its place by --model.");
    }
    return Path.of(path);
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
