package org.parallelcomp.engine.generate;

import java.util.List;
import org.parallelcomp.api.backend.Backend;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.policy.Plan;
import org.parallelcomp.engine.GenerationRequest;
import org.parallelcomp.engine.PolicyCatalog;
import org.parallelcomp.engine.PromptForm;
import org.parallelcomp.engine.load.ModelSource;
import org.parallelcomp.engine.model.CacheFormat;
import org.parallelcomp.engine.model.LoadedModel;
import org.parallelcomp.engine.text.PromptBuilder;
import org.parallelcomp.engine.text.TextTokenizer;

/**
 * What all requests to a model are worked out with.
 *
 * @param models the model on each device; the first also decodes
 * @param source the model's files
 * @param tokenizer text to tokens
 * @param promptBuilder words around the text to tokens
 * @param catalog policies and presets
 * @param format what keys and values take
 */
record ModelParts(
    List<LoadedModel> models,
    ModelSource source,
    TextTokenizer tokenizer,
    PromptBuilder promptBuilder,
    PolicyCatalog catalog,
    CacheFormat format) {
  /** Returns the backend that decodes. */
  Backend backend() {
    return models.getFirst().backend();
  }

  /** Returns the request's plan, or the default one. */
  Plan plan(GenerationRequest request) {
    return request.plan() == null
        ? catalog.preset(Generator.DEFAULT_PRESET).plan()
        : request.plan();
  }

  /** Returns the words around the request's text and question, or those that suit the model. */
  PromptForm form(GenerationRequest request) {
    return request.form() == null ? source.form() : request.form();
  }

  /** Refuses a request that asks for nothing. */
  static void requireQuestion(GenerationRequest request) {
    if (request.maxTokens() < 1) {
      throw new InferenceException(
          ErrorCode.INVALID_ARGUMENT,
          "The answer must be allowed at least 1 token, not " + request.maxTokens() + ".");
    }
    if (request.question().isBlank()) {
      throw new InferenceException(
          ErrorCode.INVALID_TEXT,
          request.text() == null ? "The prompt is empty." : "The question is empty.");
    }
  }
}
