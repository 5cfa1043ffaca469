package org.parallelcomp.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.concurrent.Callable;
import java.util.stream.Stream;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.cli.EngineAccess.Opened;
import org.parallelcomp.engine.EngineConfig;
import org.parallelcomp.engine.GenerationRequest;
import org.parallelcomp.engine.TokenSink;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Writes the graphs that the ONNX backend runs. */
@Command(
    name = "export-onnx",
    description =
        "Writes the graphs that the backend on ONNX Runtime builds for a model as .onnx files, so"
            + " that what runs can be seen: it answers a short question and writes every graph on"
            + " the way.",
    mixinStandardHelpOptions = true,
    versionProvider = ParallelComp.Version.class,
    sortOptions = false)
final class ExportOnnxCommand implements Callable<Integer> {
  private static final String BACKEND = "onnx";

  /** Long enough that a chunk, the question and single tokens of the answer all pass. */
  private static final String TEXT =
      "Mira keeps the silver key in the lighthouse. The sea was calm, and the afternoon cloudy.";

  private static final String QUESTION = "Where does Mira keep the silver key?";

  private final ParallelComp command;

  @Option(
      names = {"-o", "--output"},
      paramLabel = "FOLDER",
      required = true,
      description = "Where the files go; made if it is not there.")
  private Path output = Path.of("");

  @Option(
      names = "--preset",
      paramLabel = "NAME",
      description = "The preset to run; its policies are graphs, too. Default: ${DEFAULT-VALUE}.")
  private String preset = "parallelcomp";

  @Mixin private ModelOptions model = new ModelOptions();

  ExportOnnxCommand(ParallelComp command) {
    this.command = command;
  }

  @Override
  public Integer call() throws IOException {
    EngineAccess engine = command.engine();
    EngineConfig config = model.config(engine);
    if (config.backend() != null && !config.backend().equals(BACKEND)) {
      throw new InferenceException(
          ErrorCode.INVALID_ARGUMENT,
          "Graphs are those of the backend " + BACKEND + ", not of " + config.backend() + ".");
    }
    var options = new LinkedHashMap<>(config.backendOptions());
    options.put("export", output.toString());
    try (Opened opened = engine.open(config.withBackend(BACKEND).withBackendOptions(options))) {
      opened.generate(
          GenerationRequest.ask(TEXT, QUESTION)
              .withPlan(opened.plan(preset))
              .withForm(opened.model().form())
              .withMaxTokens(2),
          TokenSink.NONE);
    }
    try (Stream<Path> files = Files.list(output)) {
      long count = files.filter(file -> file.toString().endsWith(".onnx")).count();
      command.streams().out().println(count + " graphs in " + output);
    }
    return 0;
  }
}
