package org.parallelcomp.cli;

import java.util.List;
import java.util.concurrent.Callable;
import org.parallelcomp.eval.EvalSpec;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Perplexity, over length. */
@Command(
    name = "ppl",
    description =
        "Measures how likely the last tokens of passages of a book are, given what each plan keeps"
            + " of the passage before them.",
    mixinStandardHelpOptions = true,
    versionProvider = ParallelComp.Version.class,
    sortOptions = false)
final class EvalPplCommand implements Callable<Integer> {
  private final ParallelComp command;

  @Mixin private EvalOptions options = new EvalOptions();

  @Mixin private GridOptions grid = new GridOptions("2K,4K,8K,16K,32K,64K,128K", 4);

  @Option(
      names = "--scored-tokens",
      paramLabel = "COUNT",
      description = "Tokens of each passage that are measured. Default: ${DEFAULT-VALUE}.")
  private int scoredTokens = 128;

  @Option(
      names = "--question-tokens",
      paramLabel = "COUNT",
      description =
          "Tokens before them that stand in the place of the question. Default: ${DEFAULT-VALUE}.")
  private int questionTokens = 32;

  EvalPplCommand(ParallelComp command) {
    this.command = command;
  }

  @Override
  public Integer call() {
    EvalSpec spec =
        options
            .draft(
                EvalSpec.Kind.PPL,
                "full",
                "truncation",
                "streaming-llm",
                "ntk",
                "yarn",
                PlanOptions.DEFAULT_PRESET)
            .grid(List.of(), grid)
            .likelihood(scoredTokens, questionTokens)
            .spec();
    return new Evaluating(command, options.showsProgress(command.streams())).run(options, spec);
  }
}
