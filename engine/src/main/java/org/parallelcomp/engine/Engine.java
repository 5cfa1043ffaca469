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
import org.parallelcomp.engine.generate.Generator;
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

  /**
   * Reads a text once, for questions that are asked {@link PreparedContext later}; as {@link
   * #prepare(GenerationRequest, List, TokenSink)} with room for a question and its answer of 512
   * tokens together, or a quarter of a small model's window.
   */
  public PreparedContext prepare(GenerationRequest request) {
    return prepare(request, List.of(), TokenSink.NONE);
  }

  /**
   * Reads a text once, for questions that are asked {@link PreparedContext later}.
   *
   * <p>Where the plan looks at a question while it reads (to score chunks, or keys), it looks at
   * that of the request: all questions that will be asked, one behind the other, or words that say
   * what they will be about. It may be blank. Then scores of keys look at the last tokens of the
   * text instead, as methods without a question do, and a plan that scores chunks by the question
   * is refused. Where the plan looks at no question the answers are those of {@link #generate}; see
   * {@link #haveSameContext}.
   *
   * <p>A context that is cut after the merge is cut before the question comes, which {@link
   * #generate} does while the question passes.
   *
   * @param request the text, how to read it, and what to look at; its sampling, stop strings and
   *     most tokens do not matter
   * @param questions what will be asked, as far as it is known: there is room for the longest of
   *     them and its answer. More room means shorter chunks where they are as long as the window
   *     allows
   * @param sink hears how far the reading has come
   * @return the context, to be closed
   * @throws InferenceException with one sentence for the user, also where the plan cuts the context
   *     while an answer grows, so that it would not be whole for the next; the engine stays usable
   * @throws java.util.concurrent.CancellationException if the request was cancelled
   */
  public synchronized PreparedContext prepare(
      GenerationRequest request, List<GenerationRequest> questions, TokenSink sink) {
    requireOpen();
    Generator generator = parts.generator();
    int room =
        questions.stream()
            .mapToInt(question -> generator.queryTokens(question) + question.maxTokens())
            .max()
            .orElse(generator.defaultRoom());
    return new PreparedContext(this, generator.prepare(request, room, sink));
  }

  /**
   * Refuses a plan whose context cannot be prepared, before there is a text.
   *
   * @param withQuestion whether texts will be read with a question to look at
   * @throws InferenceException in one sentence
   */
  public void checkPrepared(Plan plan, boolean withQuestion) {
    parts.generator().requirePreparable(plan, withQuestion);
  }

  /**
   * Returns whether some requests would be answered from one and the same context, so that one that
   * is {@link #prepare prepared} with a blank question serves them all: they have the same text,
   * plan and words before the text, the plan looks at no question, and the lengths of questions and
   * answers do not change how the text is cut. Answers are then the same but for rounding, where
   * text and question pass the model together if they are asked alone.
   *
   * @param requests one or more
   */
  public synchronized boolean haveSameContext(List<GenerationRequest> requests) {
    requireOpen();
    return parts.generator().haveSameContext(requests);
  }

  /** Returns a text as the model's tokens; special tokens in it are ordinary text. */
  public synchronized TokenizedText tokenize(String text) {
    requireOpen();
    Encoded encoded = parts.tokenizer().encode(text);
    return new TokenizedText(encoded.ids(), encoded.fromChar(), encoded.toChar());
  }

  boolean isClosed() {
    return closed;
  }

  void requireOpen() {
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
