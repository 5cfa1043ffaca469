package org.parallelcomp.cli;

import java.util.List;
import java.util.concurrent.Callable;
import org.parallelcomp.eval.EvalSpec;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Whether a needle is found, over length and depth. */
@Command(
    name = "needle",
    description = "Hides a fact at every depth of texts of every length, and asks for it.",
    mixinStandardHelpOptions = true,
    versionProvider = ParallelComp.Version.class,
    sortOptions = false)
final class EvalNeedleCommand implements Callable<Integer> {
  private final ParallelComp command;

  @Mixin private EvalOptions options = new EvalOptions();

  @Mixin private GridOptions grid = new GridOptions("4K,8K,16K,32K,64K,128K", 1);

  @Option(
      names = "--task",
      paramLabel = "NAME",
      description = "passkey, number, multi, fact or two. Default: ${DEFAULT-VALUE}.")
  private String task = "passkey";

  @Option(
      names = "--depths",
      paramLabel = "PERCENT,...",
      description = "Default: ${DEFAULT-VALUE}.")
  private String depths = "0,10,20,30,40,50,60,70,80,90,100";

  EvalNeedleCommand(ParallelComp command) {
    this.command = command;
  }

  @Override
  public Integer call() {
    EvalSpec spec =
        options
            .draft(EvalSpec.Kind.NEEDLE, PlanOptions.DEFAULT_PRESET)
            .grid(List.of(task), grid)
            .depths(depths)
            .spec();
    return new Evaluating(command, options.showsProgress(command.streams())).run(options, spec);
  }
}
