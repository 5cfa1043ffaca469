package org.parallelcomp.cli;

import java.util.concurrent.Callable;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.engine.EngineConfig;
import org.parallelcomp.engine.GenerationRequest;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Continues a prompt. */
@Command(
    name = "generate",
    customSynopsis = "parallelcomp generate [OPTIONS] PROMPT",
    description = "Continues a plain prompt: no text, no chunks, nothing evicted.",
    mixinStandardHelpOptions = true,
    versionProvider = ParallelComp.Version.class,
    sortOptions = false)
final class GenerateCommand implements Callable<Integer> {
  private final ParallelComp command;

  @Parameters(paramLabel = "PROMPT", description = "What to continue, or - for standard input.")
  private String prompt = "";

  @Option(names = "--chat", description = "Puts the prompt into the model's chat template.")
  private boolean chat;

  @Mixin private ModelOptions model = new ModelOptions();
  @Mixin private AnswerOptions answer = new AnswerOptions();

  GenerateCommand(ParallelComp command) {
    this.command = command;
  }

  @Override
  public Integer call() {
    EngineAccess engine = command.engine();
    answer.sampling();
    EngineConfig config = model.config(engine);
    var answering = new Answering(command.streams(), answer);
    String words = prompt.equals("-") ? answering.read(prompt, engine) : prompt;
    if (words.isEmpty()) {
      throw new InferenceException(ErrorCode.INVALID_TEXT, "The prompt is empty.");
    }
    return answering.run(
        engine,
        config,
        opened -> GenerationRequest.prompt(words).withChat(chat),
        (opened, result) -> {});
  }
}
