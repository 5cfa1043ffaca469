package org.parallelcomp.cli;

import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.Callable;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.policy.Plan;
import org.parallelcomp.engine.EngineConfig;
import org.parallelcomp.engine.GenerationRequest;
import org.parallelcomp.engine.PromptForm;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** A question about a text; what ask and explain share. */
abstract class QuestionCommand implements Callable<Integer> {
  private final ParallelComp command;

  @Spec private @Nullable CommandSpec spec;

  @Parameters(paramLabel = "QUESTION", description = "What to find out.")
  private String question = "";

  @Option(
      names = {"-t", "--text"},
      paramLabel = "FILE",
      required = true,
      description = "The text: a UTF-8 file, plain or .gz, or - for standard input.")
  private String text = "";

  @Mixin private ModelOptions model = new ModelOptions();
  @Mixin private PlanOptions plan = new PlanOptions();
  @Mixin private FormOptions form = new FormOptions();
  @Mixin private AnswerOptions answer = new AnswerOptions();

  QuestionCommand(ParallelComp command) {
    this.command = command;
  }

  /** Returns where the report goes, or null if none is wanted. */
  abstract @Nullable Path reportFile();

  @Override
  public Integer call() {
    EngineAccess engine = command.engine();
    // What can be refused without the text and the model comes first.
    UnaryOperator<Plan> changes = plan.changes(engine.policies(command.plugins()));
    form.applyTo(PromptForm.DEFAULT);
    if (question.isBlank()) {
      throw new InferenceException(ErrorCode.INVALID_TEXT, "The question is empty.");
    }
    answer.sampling();
    ReportFile report = reportFile() == null ? null : ReportFile.at(reportFile());
    EngineConfig config = model.config(engine).withPlugins(command.plugins());
    var answering = new Answering(command.streams(), answer);
    String source = answering.read(text, engine);
    return answering.run(
        engine,
        config,
        opened ->
            GenerationRequest.ask(source, question)
                .withPlan(changes.apply(opened.plan(plan.preset())))
                .withForm(form.applyTo(opened.model().form()))
                .withTraced(report != null),
        (opened, result) -> {
          if (report != null) {
            report.write(source, question, opened, result, words());
          }
        });
  }

  private List<String> words() {
    return Objects.requireNonNull(spec).root().commandLine().getParseResult().originalArgs();
  }
}
