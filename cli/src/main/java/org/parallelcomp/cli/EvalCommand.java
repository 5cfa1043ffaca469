package org.parallelcomp.cli;

import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** The evaluations; what each does stands with its subcommand. */
@Command(
    name = "eval",
    description =
        "Measures what plans find and what they cost. Each evaluation writes JSON, CSV, a table and"
            + " pictures into a folder; the JSON holds everything that repeats it. One that was"
            + " stopped goes on where it was if it is started again.",
    mixinStandardHelpOptions = true,
    versionProvider = ParallelComp.Version.class,
    synopsisSubcommandLabel = "EVALUATION")
final class EvalCommand implements Runnable {
  @Spec private CommandSpec spec;

  @Override
  public void run() {
    throw new ParameterException(
        spec.commandLine(),
        "Which evaluation? There are " + String.join(", ", spec.subcommands().keySet()) + ".");
  }
}
