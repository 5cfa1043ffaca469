package org.parallelcomp.cli;

import org.jspecify.annotations.Nullable;
import org.parallelcomp.engine.PromptForm;
import picocli.CommandLine.Option;

/** The words around text and question, where they are to differ from those that suit the model. */
final class FormOptions {
  @Option(
      names = "--instruction",
      paramLabel = "WORDS",
      description = "Words before the text. Default: those that suit the model.")
  private @Nullable String instruction;

  @Option(
      names = "--question-form",
      paramLabel = "WORDS",
      description = "Words behind the text, holding {question} once. Default: as above.")
  private @Nullable String questionForm;

  @Option(
      names = "--answer-lead",
      paramLabel = "WORDS",
      description = "Words with which the answer is made to begin. Default: as above.")
  private @Nullable String answerLead;

  /** Returns a form with the given words in it; refuses words that cannot make one. */
  PromptForm applyTo(PromptForm form) {
    return new PromptForm(
        instruction == null ? form.instruction() : instruction,
        questionForm == null ? form.questionForm() : questionForm,
        answerLead == null ? form.answerLead() : answerLead);
  }
}
