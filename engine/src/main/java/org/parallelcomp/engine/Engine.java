package org.parallelcomp.engine;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;
import org.parallelcomp.api.backend.Backend;
import org.parallelcomp.api.backend.BackendInfo;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.policy.Plan;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.engine.generate.Policies;
import org.parallelcomp.engine.load.ModelConfig;
import org.parallelcomp.engine.load.ModelFiles;
import org.parallelcomp.engine.load.ModelSource;
import org.parallelcomp.engine.model.CacheFormat;
import org.parallelcomp.engine.registry.BackendRegistry;
import org.parallelcomp.engine.registry.PolicyRegistry;
import org.parallelcomp.engine.text.Encoded;
import org.parallelcomp.engine.text.TextFiles;
import org.parallelcomp.engine.wire.EngineParts;

/**
 * A model, opened on a backend, that answers questions. One request runs at a time; a second caller
 * waits. Closing frees the model and everything below it.
 */
public final class Engine implements AutoCloseable {
  private final EngineParts parts;
  private boolean closed;

  private Engine(EngineParts parts) {
    this.parts = parts;
  }

  /**
   * Opens a model. Every refusal that does not depend on the question happens here: unusable
   * backend, unsupported architecture or type, damaged file.
   *
   * @throws InferenceException with one sentence for the user
   */
  public static Engine open(EngineConfig config) {
    return new Engine(EngineParts.open(config));
  }

  /** Returns every backend that was found, usable or not, best first. */
  public static List<BackendStatus> backends() {
    return BackendRegistry.discover().statuses();
  }

  /** Returns every policy and preset that was found. */
  public static PolicyCatalog policies() {
    return PolicyRegistry.discover();
  }

  /**
   * Returns every policy and preset that was found, also those in a folder of jars.
   *
   * @param plugins as {@link EngineConfig#plugins}
   */
  public static PolicyCatalog policies(@Nullable Path plugins) {
    return PolicyRegistry.discover(plugins);
  }

  /**
   * Returns what is known of a model without opening it on a backend.
   *
   * @param model as {@link EngineConfig#model}
   * @throws InferenceException with one sentence for the user
   */
  public static ModelInfo inspect(Path model) {
    return info(ModelFiles.open(model), DType.F32);
  }

  /**
   * Returns the text of a file in UTF-8, unpacked if it is gzip.
   *
   * @throws InferenceException INVALID_TEXT or FILE_NOT_READABLE, with the offset of what is wrong
   */
  public static String readText(Path file) {
    return TextFiles.read(file);
  }

  /**
   * Returns the plan of a preset.
   *
   * @throws InferenceException UNKNOWN_NAME, with what exists
   */
  public Plan plan(String preset) {
    return parts.catalog().preset(preset).plan();
  }

  /**
   * Makes every policy of a plan, so that what is wrong with it is known before there is a text.
   *
   * @throws InferenceException with every unknown name and every bad parameter at once
   */
  public void check(Plan plan) {
    Policies.create(plan, parts.catalog());
  }

  /** Returns what is known of the open model. */
  public ModelInfo model() {
    return info(parts.source(), parts.backends().getFirst().traits().cacheType());
  }

  /** Returns facts about the backend in use, on its first device. */
  public BackendInfo backend() {
    return parts.backends().getFirst().info();
  }

  /** Returns facts about the backend in use, device by device. */
  public List<BackendInfo> devices() {
    return parts.backends().stream().map(Backend::info).toList();
  }

  /**
   * Answers a question about a text, or continues a prompt.
   *
   * @param request what to answer, and how
   * @param sink hears the answer while it grows
   * @throws InferenceException with one sentence for the user; the engine stays usable
   */
  public synchronized GenerationResult generate(GenerationRequest request, TokenSink sink) {
    requireOpen();
    return parts.generator().generate(request, sink);
  }

  /**
   * Decodes a given answer instead of drawing one, and tells how likely each token of it is: the
   * perplexity of a text given what a plan keeps of the text before it, or how far two plans agree.
   * Everything happens as {@link #generate} would do it, one token at a time.
   *
   * @param request as for {@link #generate}; its most tokens, stop strings and sampling do not
   *     matter
   * @param continuation the tokens to be decoded, at least one
   * @param sink hears of the logits before each token
   * @throws InferenceException with one sentence for the user; the engine stays usable
   */
  public synchronized GenerationResult score(
      GenerationRequest request, List<Integer> continuation, LogitsSink sink) {
    requireOpen();
    return parts.generator().score(request, continuation, sink);
  }

  /** Returns a text as the model's tokens; special tokens in it are ordinary text. */
  public synchronized TokenizedText tokenize(String text) {
    requireOpen();
    Encoded encoded = parts.tokenizer().encode(text);
    return new TokenizedText(encoded.ids(), encoded.fromChar(), encoded.toChar());
  }

  private void requireOpen() {
    if (closed) {
      throw new InferenceException(ErrorCode.INVALID_ARGUMENT, "The engine has been closed.");
    }
  }

  @Override
  public synchronized void close() {
    if (!closed) {
      closed = true;
      parts.close();
    }
  }

  private static ModelInfo info(ModelSource source, DType cacheType) {
    ModelConfig config = source.config();
    Map<String, Long> dtypes = new TreeMap<>();
    source
        .weights()
        .values()
        .forEach(w -> dtypes.merge(w.dtype().name(), w.region().sizeBytes(), Long::sum));
    return new ModelInfo(
        source.name(),
        source.format(),
        config.architecture(),
        source.parameters(),
        source.weightBytes(),
        config.layers(),
        config.hiddenDim(),
        config.queryHeads(),
        config.kvHeads(),
        config.headDim(),
        config.feedForwardDim(),
        config.vocab(),
        config.trainedWindow(),
        new CacheFormat(cacheType, config).bytes(1),
        dtypes,
        source.tokenizer().description(),
        source.tokenizer().chatTemplate() == null ? "" : source.tokenizer().chatTemplate(),
        source.tokenizer().stopTokens().stream().sorted().toList(),
        source.form());
  }
}
