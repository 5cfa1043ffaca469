package org.parallelcomp.engine;

import java.util.List;
import org.jspecify.annotations.Nullable;
import org.parallelcomp.api.policy.Plan;

/**
 * An answer, where it comes from, what it cost, and what repeats it.
 *
 * @param answer the text of the answer
 * @param tokenIds its tokens
 * @param finishReason why it ended
 * @param citations the kept chunks in document order; empty for a prompt without text
 * @param figures what it cost
 * @param cache what became of the keys and values
 * @param plan the plan that was carried out, with every parameter that differs from its policy's
 *     default
 * @param form the words around text and question
 * @param sampling how tokens were drawn
 * @param model name of the model
 * @param backend id of the backend
 * @param warnings what the caller should know, each in one sentence
 * @param trace what was seen on the way, or null unless the request was traced
 */
public record GenerationResult(
    String answer,
    List<Integer> tokenIds,
    FinishReason finishReason,
    List<Citation> citations,
    Figures figures,
    CacheReport cache,
    Plan plan,
    PromptForm form,
    Sampling sampling,
    String model,
    String backend,
    List<String> warnings,
    @Nullable Trace trace) {
  public GenerationResult {
    tokenIds = List.copyOf(tokenIds);
    citations = List.copyOf(citations);
    warnings = List.copyOf(warnings);
  }
}
