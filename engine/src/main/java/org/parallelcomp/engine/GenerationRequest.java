package org.parallelcomp.engine;

import java.util.List;
import org.jspecify.annotations.Nullable;
import org.parallelcomp.api.policy.Plan;

/**
 * One question. With a text it is answered by way of the plan; without one the prompt is continued.
 *
 * @param text the text that the question is about, or null to continue {@code question} as a prompt
 * @param question the question, or the prompt
 * @param plan how text and question are worked out, or null for the engine's default; see {@link
 *     Engine#plan}
 * @param form the words around text and question, or null for those that suit the model
 * @param chat whether the words are put into the model's chat template
 * @param ropeScaling how positions past the trained window are scaled
 * @param sampling how tokens are drawn
 * @param maxTokens the most tokens of the answer
 * @param stopStrings strings that end the answer
 * @param cancellation by which another thread ends the request
 * @param traced whether the result shall hold a {@link Trace}; only with a text
 */
public record GenerationRequest(
    @Nullable String text,
    String question,
    @Nullable Plan plan,
    @Nullable PromptForm form,
    boolean chat,
    RopeScaling ropeScaling,
    Sampling sampling,
    int maxTokens,
    List<String> stopStrings,
    Cancellation cancellation,
    boolean traced) {
  /** How many tokens an answer has at most where nothing else is said. */
  public static final int DEFAULT_MAX_TOKENS = 64;

  public GenerationRequest {
    stopStrings = List.copyOf(stopStrings);
  }

  /** Returns a request to answer a question about a text, greedily, by the default plan. */
  public static GenerationRequest ask(String text, String question) {
    return new GenerationRequest(
        text,
        question,
        null,
        null,
        true,
        RopeScaling.NONE,
        Sampling.GREEDY,
        DEFAULT_MAX_TOKENS,
        List.of(),
        new Cancellation(),
        false);
  }

  /** Returns a request to continue a prompt, greedily, without the chat template. */
  public static GenerationRequest prompt(String prompt) {
    return new GenerationRequest(
        null,
        prompt,
        null,
        null,
        false,
        RopeScaling.NONE,
        Sampling.GREEDY,
        DEFAULT_MAX_TOKENS,
        List.of(),
        new Cancellation(),
        false);
  }

  /** Returns this request with a plan. */
  public GenerationRequest withPlan(Plan value) {
    return new GenerationRequest(
        text,
        question,
        value,
        form,
        chat,
        ropeScaling,
        sampling,
        maxTokens,
        stopStrings,
        cancellation,
        traced);
  }

  /** Returns this request with other words around text and question. */
  public GenerationRequest withForm(PromptForm value) {
    return new GenerationRequest(
        text,
        question,
        plan,
        value,
        chat,
        ropeScaling,
        sampling,
        maxTokens,
        stopStrings,
        cancellation,
        traced);
  }

  /** Returns this request with or without the chat template around its words. */
  public GenerationRequest withChat(boolean value) {
    return new GenerationRequest(
        text,
        question,
        plan,
        form,
        value,
        ropeScaling,
        sampling,
        maxTokens,
        stopStrings,
        cancellation,
        traced);
  }

  /** Returns this request with positions past the trained window scaled. */
  public GenerationRequest withRopeScaling(RopeScaling value) {
    return new GenerationRequest(
        text,
        question,
        plan,
        form,
        chat,
        value,
        sampling,
        maxTokens,
        stopStrings,
        cancellation,
        traced);
  }

  /** Returns this request with another way to draw tokens. */
  public GenerationRequest withSampling(Sampling value) {
    return new GenerationRequest(
        text,
        question,
        plan,
        form,
        chat,
        ropeScaling,
        value,
        maxTokens,
        stopStrings,
        cancellation,
        traced);
  }

  /** Returns this request with another greatest number of tokens. */
  public GenerationRequest withMaxTokens(int value) {
    return new GenerationRequest(
        text,
        question,
        plan,
        form,
        chat,
        ropeScaling,
        sampling,
        value,
        stopStrings,
        cancellation,
        traced);
  }

  /** Returns this request with stop strings. */
  public GenerationRequest withStopStrings(List<String> value) {
    return new GenerationRequest(
        text,
        question,
        plan,
        form,
        chat,
        ropeScaling,
        sampling,
        maxTokens,
        value,
        cancellation,
        traced);
  }

  /** Returns this request with a switch to end it. */
  public GenerationRequest withCancellation(Cancellation value) {
    return new GenerationRequest(
        text,
        question,
        plan,
        form,
        chat,
        ropeScaling,
        sampling,
        maxTokens,
        stopStrings,
        value,
        traced);
  }

  /** Returns this request with or without a trace in its result. */
  public GenerationRequest withTraced(boolean value) {
    return new GenerationRequest(
        text,
        question,
        plan,
        form,
        chat,
        ropeScaling,
        sampling,
        maxTokens,
        stopStrings,
        cancellation,
        value);
  }
}
