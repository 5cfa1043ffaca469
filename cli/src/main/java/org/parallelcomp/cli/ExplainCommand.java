package org.parallelcomp.cli;

import java.nio.file.Path;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** Answers a question and shows on one page why. */
@Command(
    name = "explain",
    customSynopsis = "parallelcomp explain --text FILE [OPTIONS] QUESTION",
    description =
        "Answers a question about a text and writes one page on why: kept passages and tokens,"
            + " chunk scores, what each layer and head kept, and where attention went.",
    mixinStandardHelpOptions = true,
    versionProvider = ParallelComp.Version.class,
    sortOptions = false)
final class ExplainCommand extends QuestionCommand {
  @Option(
      names = {"-o", "--output"},
      paramLabel = "FILE",
      description = "Where the page goes; default ${DEFAULT-VALUE}.")
  private Path output = Path.of("explain.html");

  ExplainCommand(ParallelComp command) {
    super(command);
  }

  @Override
  Path reportFile() {
    return output;
  }
}
