package org.parallelcomp.engine;

import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;

/**
 * The words around text and question inside the user's turn of the chat.
 *
 * <pre>
 * user's turn:       instruction, text, questionForm with {question} replaced
 * assistant's turn:  answerLead, then the answer
 * </pre>
 *
 * @param instruction what stands before the text; repeated before every chunk
 * @param questionForm what stands behind the text, holding {@code {question}} once
 * @param answerLead the words with which the answer is made to begin
 */
public record PromptForm(String instruction, String questionForm, String answerLead) {
  /** Where the question goes in {@link #questionForm}. */
  public static final String QUESTION = "{question}";

  /** A blank line, then the question with its name before it. */
  public static final PromptForm DEFAULT = new PromptForm("", "\n\nQuestion: {question}", "");

  public PromptForm {
    int at = questionForm.indexOf(QUESTION);
    if (at < 0 || questionForm.indexOf(QUESTION, at + 1) >= 0) {
      throw new InferenceException(
          ErrorCode.INVALID_ARGUMENT,
          "The question form must hold " + QUESTION + " exactly once: '" + questionForm + "'.");
    }
  }
}
