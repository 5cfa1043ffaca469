package org.parallelcomp.cli;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import org.parallelcomp.eval.EvalSpec;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Methods side by side at the same bytes of keys and values. */
@Command(
    name = "compare",
    description =
        "Lets plans answer the same questions with the same bytes of keys and values, and shows"
            + " quality, bytes, times and agreement with full attention in one row.",
    mixinStandardHelpOptions = true,
    versionProvider = ParallelComp.Version.class,
    sortOptions = false)
final class EvalCompareCommand implements Callable<Integer> {
  private final ParallelComp command;

  @Mixin private EvalOptions options = new EvalOptions();

  @Mixin private GridOptions grid = new GridOptions("8K", 5);

  @Option(
      names = "--kv-bytes",
      paramLabel = "SIZE",
      description =
          "What each plan may keep of the text, as in 512K or 1M; those that evict nothing keep"
              + " all. Default: what each plan says.")
  private @Nullable String kvBytes;

  @Option(
      names = "--tasks",
      paramLabel = "NAME,...",
      split = ",",
      description = "As for 'eval retrieval'. Default: passkey, number, multi, fact, two.")
  private List<String> tasks = new ArrayList<>();

  @Option(
      names = "--fidelity-length",
      paramLabel = "TOKENS",
      description =
          "Length, within the trained window, at which the distributions of the answer's tokens are"
              + " compared with those of full attention; 0 for not. Default: ${DEFAULT-VALUE}.")
  private String fidelityLength = "1536";

  EvalCompareCommand(ParallelComp command) {
    this.command = command;
  }

  @Override
  public Integer call() {
    EvalSpec spec =
        options
            .draft(
                EvalSpec.Kind.COMPARE,
                "full",
                "truncation",
                "streaming-llm",
                "snapkv",
                PlanOptions.DEFAULT_PRESET,
                "parallelcomp-reread")
            .grid(
                tasks.isEmpty() ? List.of("passkey", "number", "multi", "fact", "two") : tasks,
                grid)
            .sameBytes(
                kvBytes == null ? 0 : EvalOptions.bytes(kvBytes),
                fidelityLength.equals("0") ? 0 : EvalOptions.length(fidelityLength))
            .spec();
    return new Evaluating(command, options.showsProgress(command.streams())).run(options, spec);
  }
}
