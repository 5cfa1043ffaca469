package org.parallelcomp.cli;

import java.nio.file.Path;
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

  @Option(names = "--tasks", paramLabel = "NAME,...", split = ",", description = "Default: all.")
  private List<String> tasks = new ArrayList<>();

  @Option(
      names = "--lengths",
      paramLabel = "TOKENS,...",
      description = "Default: ${DEFAULT-VALUE}.")
  private String lengths = "4K,8K,16K,32K";

  @Option(
      names = "--samples",
      paramLabel = "COUNT",
      description = "Cases of each task and length. Default: ${DEFAULT-VALUE}.")
  private int samples = 10;

  @Option(
      names = "--filler",
      paramLabel = "FILE",
      description = "A book to hide facts in; may be repeated. Default: repeated noise.")
  private List<Path> filler = new ArrayList<>();

  EvalRetrievalCommand(ParallelComp command) {
    this.command = command;
  }

  @Override
  public Integer call() {
    EvalSpec spec =
        options
            .draft(EvalSpec.Kind.RETRIEVAL, PlanOptions.DEFAULT_PRESET)
            .grid(tasks.isEmpty() ? Evaluation.tasks() : tasks, lengths, samples)
            .filler(filler)
            .spec();
    return new Evaluating(command, options.showsProgress(command.streams())).run(options, spec);
  }
}
