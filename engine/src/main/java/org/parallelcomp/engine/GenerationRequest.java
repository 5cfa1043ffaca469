package org.parallelcomp.engine;

import java.util.List;
import java.util.function.Consumer;
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
    return new Draft(text, question, true).request();
  }

  /** Returns a request to continue a prompt, greedily, without the chat template. */
  public static GenerationRequest prompt(String prompt) {
    return new Draft(null, prompt, false).request();
  }

  /** Returns this request with a plan. */
  public GenerationRequest withPlan(Plan value) {
    return with(draft -> draft.plan = value);
  }

  /** Returns this request with other words around text and question. */
  public GenerationRequest withForm(PromptForm value) {
    return with(draft -> draft.form = value);
  }

  /** Returns this request with or without the chat template around its words. */
  public GenerationRequest withChat(boolean value) {
    return with(draft -> draft.chat = value);
  }

  /** Returns this request with positions past the trained window scaled. */
  public GenerationRequest withRopeScaling(RopeScaling value) {
    return with(draft -> draft.ropeScaling = value);
  }

  /** Returns this request with another way to draw tokens. */
  public GenerationRequest withSampling(Sampling value) {
    return with(draft -> draft.sampling = value);
  }

  /** Returns this request with another greatest number of tokens. */
  public GenerationRequest withMaxTokens(int value) {
    return with(draft -> draft.maxTokens = value);
  }

  /** Returns this request with stop strings. */
  public GenerationRequest withStopStrings(List<String> value) {
    return with(draft -> draft.stopStrings = value);
  }

  /** Returns this request with a switch to end it. */
  public GenerationRequest withCancellation(Cancellation value) {
    return with(draft -> draft.cancellation = value);
  }

  /** Returns this request with or without a trace in its result. */
  public GenerationRequest withTraced(boolean value) {
    return with(draft -> draft.traced = value);
  }

  private GenerationRequest with(Consumer<Draft> change) {
    Draft draft = new Draft(this);
    change.accept(draft);
    return draft.request();
  }

  /** A request while it is put together. */
  private static final class Draft {
    private final @Nullable String text;
    private final String question;
    private @Nullable Plan plan;
    private @Nullable PromptForm form;
    private boolean chat;
    private RopeScaling ropeScaling = RopeScaling.NONE;
    private Sampling sampling = Sampling.GREEDY;
    private int maxTokens = DEFAULT_MAX_TOKENS;
    private List<String> stopStrings = List.of();
    private Cancellation cancellation = new Cancellation();
    private boolean traced;

    Draft(@Nullable String text, String question, boolean chat) {
      this.text = text;
      this.question = question;
      this.chat = chat;
    }

    Draft(GenerationRequest from) {
      this(from.text, from.question, from.chat);
      plan = from.plan;
      form = from.form;
      ropeScaling = from.ropeScaling;
      sampling = from.sampling;
      maxTokens = from.maxTokens;
      stopStrings = from.stopStrings;
      cancellation = from.cancellation;
      traced = from.traced;
    }

    GenerationRequest request() {
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
          traced);
    }
  }
}
