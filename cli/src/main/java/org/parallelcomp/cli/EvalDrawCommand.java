package org.parallelcomp.cli;

import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Callable;
import org.parallelcomp.eval.EvalResult;
import org.parallelcomp.eval.ResultFiles;
import picocli.CommandLine.Command;
import picocli.CommandLine.Parameters;

/** Table and pictures of results that are there. */
@Command(
    name = "draw",
    description =
        "Writes table and pictures of result files anew, beside them; as for results of a machine"
            + " that cannot draw.",
    mixinStandardHelpOptions = true,
    versionProvider = ParallelComp.Version.class,
    sortOptions = false)
final class EvalDrawCommand implements Callable<Integer> {
  private static final String ENDING = ".json";

  private final ParallelComp command;

  @Parameters(paramLabel = "FILE", arity = "1..*", description = "JSON files of results.")
  private List<Path> files = List.of();

  EvalDrawCommand(ParallelComp command) {
    this.command = command;
  }

  @Override
  public Integer call() {
    for (Path file : files) {
      EvalResult result = EvalResult.read(file);
      String name = file.getFileName().toString();
      String plain =
          name.endsWith(ENDING) ? name.substring(0, name.length() - ENDING.length()) : name;
      ResultFiles.write(result, file.toAbsolutePath().getParent(), plain)
          .forEach(written -> command.streams().out().println("wrote " + written));
    }
    return 0;
  }
}
