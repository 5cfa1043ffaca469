package org.parallelcomp.cli;

import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** Answers a question about a text. */
@Command(
    name = "ask",
    customSynopsis = "parallelcomp ask --text FILE [OPTIONS] QUESTION",
    description = "Answers a question about a text and shows the passages it came from.",
    mixinStandardHelpOptions = true,
    versionProvider = ParallelComp.Version.class,
    sortOptions = false)
final class AskCommand extends QuestionCommand {
  @Option(
      names = "--report",
      paramLabel = "FILE",
      description =
          "Writes a page that shows what was kept and where attention went; see 'parallelcomp"
              + " explain'.")
  private @Nullable Path report;

  AskCommand(ParallelComp command) {
    super(command);
  }

  @Override
  @Nullable Path reportFile() {
    return report;
  }
}
