package org.parallelcomp.cli;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import org.parallelcomp.eval.EvalSpec;
import org.parallelcomp.eval.Evaluation;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Scores of tasks, over length. */
@Command(
    name = "retrieval",
    description = {
      "Asks questions whose answers are known: facts hidden in a book (passkey, number, multi, fact,"
          + " two), InfiniteBench's synthetic forms (ib-passkey, ib-number, ib-kv) and RULER's"
          + " synthetic families (niah_single_1 to 3, niah_multikey_1 to 3, niah_multivalue,"
          + " niah_multiquery, vt, cwe, fwe)."
    },
    mixinStandardHelpOptions = true,
    versionProvider = ParallelComp.Version.class,
    sortOptions = false)
final class EvalRetrievalCommand implements Callable<Integer> {
  private final ParallelComp command;

  @Mixin private EvalOptions options = new EvalOptions();

  @Mixin private GridOptions grid = new GridOptions("4K,8K,16K,32K", 10);

  @Option(names = "--tasks", paramLabel = "NAME,...", split = ",", description = "Default: all.")
  private List<String> tasks = new ArrayList<>();

  EvalRetrievalCommand(ParallelComp command) {
    this.command = command;
  }

  @Override
  public Integer call() {
    EvalSpec spec =
        options
            .draft(EvalSpec.Kind.RETRIEVAL, PlanOptions.DEFAULT_PRESET)
            .grid(tasks.isEmpty() ? Evaluation.tasks() : tasks, grid)
            .spec();
    return new Evaluating(command, options.showsProgress(command.streams())).run(options, spec);
  }
}
