package org.parallelcomp.eval.cases;

import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * One question whose answer is known.
 *
 * @param task what kind of question it is
 * @param tokens about how many tokens of the model the text has; 0 where nobody asked for a length
 * @param depth where in the text the first thing that is asked for stands, from 0 to 1; NaN where
 *     there is no one place
 * @param text what the question is about
 * @param question about the text
 * @param instruction the words of the benchmark before the text, or null for those of the model
 * @param questionForm the words of the benchmark around the question, or null for those of the
 *     model
 * @param lead words with which the answer may be made to begin; may be empty
 * @param answers what must be answered
 * @param scoring how an answer is compared with them
 * @param maxTokens the most tokens of the answer
 */
public record EvalCase(
    String task,
    int tokens,
    double depth,
    String text,
    String question,
    @Nullable String instruction,
    @Nullable String questionForm,
    String lead,
    List<String> answers,
    Scoring scoring,
    int maxTokens) {
  public EvalCase {
    answers = List.copyOf(answers);
  }

  /** Returns what an answer scores, from 0 to 1. */
  public double score(String answer) {
    return scoring.score(answer, answers);
  }
}
