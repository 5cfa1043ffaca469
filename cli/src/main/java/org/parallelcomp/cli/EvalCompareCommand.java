package org.parallelcomp.cli;

import java.nio.file.Path;
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
      names = "--lengths",
      paramLabel = "TOKENS,...",
      description = "Default: ${DEFAULT-VALUE}.")
  private String lengths = "8K";

  @Option(
      names = "--samples",
      paramLabel = "COUNT",
      description = "Cases of each task and length. Default: ${DEFAULT-VALUE}.")
  private int samples = 5;

  @Option(
      names = "--fidelity-length",
      paramLabel = "TOKENS",
      description =
          "Length, within the trained window, at which the distributions of the answer's tokens are"
              + " compared with those of full attention; 0 for not. Default: ${DEFAULT-VALUE}.")
  private String fidelityLength = "1536";

  @Option(
      names = "--filler",
      paramLabel = "FILE",
      description = "A book to hide facts in; may be repeated. Default: repeated noise.")
  private List<Path> filler = new ArrayList<>();

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
                lengths,
                samples)
            .filler(filler)
            .sameBytes(
                kvBytes == null ? 0 : EvalOptions.bytes(kvBytes),
                fidelityLength.equals("0") ? 0 : EvalOptions.length(fidelityLength))
            .spec();
    return new Evaluating(command, options.showsProgress(command.streams())).run(options, spec);
  }
}
