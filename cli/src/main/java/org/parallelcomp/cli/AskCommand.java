package org.parallelcomp.cli;

import java.util.concurrent.Callable;
import java.util.function.UnaryOperator;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.policy.Plan;
import org.parallelcomp.engine.EngineConfig;
import org.parallelcomp.engine.GenerationRequest;
import org.parallelcomp.engine.PromptForm;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Answers a question about a text. */
@Command(
    name = "ask",
    customSynopsis = "parallelcomp ask --text FILE [OPTIONS] QUESTION",
    description = "Answers a question about a text and shows the passages it came from.",
    mixinStandardHelpOptions = true,
    versionProvider = ParallelComp.Version.class,
    sortOptions = false)
final class AskCommand implements Callable<Integer> {
  private final ParallelComp command;

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

  AskCommand(ParallelComp command) {
    this.command = command;
  }

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
    EngineConfig config = model.config(engine).withPlugins(command.plugins());
    var answering = new Answering(command.streams(), answer);
    String source = answering.read(text, engine);
    return answering.run(
        engine,
        config,
        opened ->
            GenerationRequest.ask(source, question)
                .withPlan(changes.apply(opened.plan(plan.preset())))
                .withForm(form.applyTo(opened.model().form())));
  }
}
