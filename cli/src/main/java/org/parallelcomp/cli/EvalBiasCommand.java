package org.parallelcomp.cli;

import java.util.List;
import java.util.concurrent.Callable;
import org.parallelcomp.eval.EvalSpec;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Where attention goes, layer by layer. */
@Command(
    name = "bias",
    description =
        "Measures where the attention of the question's last tokens goes in each layer (prompt,"
            + " first 100 tokens, middle, last 100, question) and the shape of it, before and after"
            + " budget and calibration, on average over many questions.",
    mixinStandardHelpOptions = true,
    versionProvider = ParallelComp.Version.class,
    sortOptions = false)
final class EvalBiasCommand implements Callable<Integer> {
  private final ParallelComp command;

  @Mixin private EvalOptions options = new EvalOptions();

  @Mixin private GridOptions grid = new GridOptions("8K", 10);

  @Option(
      names = "--tasks",
      paramLabel = "NAME,...",
      split = ",",
      description = "As for 'eval retrieval'. Default: number.")
  private List<String> tasks = List.of("number");

  EvalBiasCommand(ParallelComp command) {
    this.command = command;
  }

  @Override
  public Integer call() {
    EvalSpec spec =
        options
            .draft(EvalSpec.Kind.BIAS, "parallelcomp-paper", "parallelcomp-calibrated")
            .grid(tasks, grid)
            .spec();
    return new Evaluating(command, options.showsProgress(command.streams())).run(options, spec);
  }
}
