package org.parallelcomp.engine;

import java.nio.file.Path;
import java.util.List;
import org.parallelcomp.api.backend.BackendInfo;
import org.parallelcomp.api.policy.Plan;

/**
 * A model, opened on a backend, that answers questions. One request runs at a time; a second caller
 * waits. Closing frees the model and everything below it.
 */
public final class Engine implements AutoCloseable {
  private Engine() {}

  /**
   * Opens a model. Every refusal happens here: unusable backend, unsupported architecture or type,
   * not enough memory.
   *
   * @throws org.parallelcomp.api.error.InferenceException with one sentence for the user
   */
  public static Engine open(EngineConfig config) {
    throw new UnsupportedOperationException();
  }

  /** Returns every backend that was found, usable or not, best first. */
  public static List<BackendStatus> backends() {
    throw new UnsupportedOperationException();
  }

  /** Returns every policy and preset that was found. */
  public static PolicyCatalog policies() {
    throw new UnsupportedOperationException();
  }

  /**
   * Returns what is known of a model without opening it on a backend.
   *
   * @param model as {@link EngineConfig#model}
   */
  public static ModelInfo inspect(Path model) {
    throw new UnsupportedOperationException();
  }

  /**
   * Returns the text of a file, UTF-8, packed by gzip or not.
   *
   * @throws org.parallelcomp.api.error.InferenceException FILE_NOT_READABLE, or INVALID_TEXT with
   *     the offset of the first byte that is not text
   */
  public static String readText(Path file) {
    throw new UnsupportedOperationException();
  }

  /** Returns the plan of a preset. */
  public Plan plan(String preset) {
    throw new UnsupportedOperationException();
  }

  /** Returns what is known of the open model. */
  public ModelInfo model() {
    throw new UnsupportedOperationException();
  }

  /** Returns facts about the backend in use. */
  public BackendInfo backend() {
    throw new UnsupportedOperationException();
  }

  /**
   * Answers a question about a text, or continues a prompt.
   *
   * @param request what to answer, and how
   * @param sink hears the answer while it grows
   * @throws org.parallelcomp.api.error.InferenceException with one sentence for the user; the
   *     engine stays usable
   */
  public GenerationResult generate(GenerationRequest request, TokenSink sink) {
    throw new UnsupportedOperationException();
  }

  @Override
  public void close() {}
}
