package org.parallelcomp.cli;

import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Callable;
import org.parallelcomp.api.error.Names;
import org.parallelcomp.eval.EvalSpec;
import org.parallelcomp.eval.cases.Scoring;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Scores of a user's own questions. */
@Command(
    name = "jsonl",
    customSynopsis = "parallelcomp eval jsonl [OPTIONS] FILE",
    description =
        "Asks the questions of a file, a JSON object a line with context, question, answer_prefix,"
            + " answer (or a list of them) and max_new_tokens.",
    mixinStandardHelpOptions = true,
    versionProvider = ParallelComp.Version.class,
    sortOptions = false)
final class EvalJsonlCommand implements Callable<Integer> {
  private final ParallelComp command;

  @Parameters(paramLabel = "FILE", description = "The questions, plain or .gz.")
  private Path file = Path.of("");

  @Mixin private EvalOptions options = new EvalOptions();

  @Option(
      names = "--scoring",
      paramLabel = "RULE",
      description =
          "string-match-all, string-match-part, exact, f1, contains, numbers, first-number or word."
              + " Default: string-match-all.")
  private String scoring = "string-match-all";

  @Option(
      names = "--contexts",
      paramLabel = "WAY",
      description = {
        "How a context with several questions is read. auto: once where the plan looks at no"
            + " question, so that the answers are the same, else anew for each; anew: for each;"
            + " joint: once, chosen by all of its questions together; unseen: once, before any"
            + " question is known, as kvpress does. Default: ${DEFAULT-VALUE}."
      })
  private EvalSpec.Contexts contexts = EvalSpec.Contexts.AUTO;

  EvalJsonlCommand(ParallelComp command) {
    this.command = command;
  }

  @Override
  public Integer call() {
    EvalSpec spec =
        options
            .draft(EvalSpec.Kind.JSONL, PlanOptions.DEFAULT_PRESET)
            .data(file, scoring(), contexts)
            .spec();
    return new Evaluating(command, options.showsProgress(command.streams())).run(options, spec);
  }

  private Scoring scoring() {
    List<Scoring> all = List.of(Scoring.values());
    return all.stream()
        .filter(rule -> Json.word(rule).equals(scoring))
        .findFirst()
        .orElseThrow(
            () -> Names.unknown("scoring", scoring, all.stream().map(Json::word).toList()));
  }
}
