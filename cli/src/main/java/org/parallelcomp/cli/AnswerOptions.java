package org.parallelcomp.cli;

import java.util.ArrayList;
import java.util.List;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.engine.GenerationRequest;
import org.parallelcomp.engine.Sampling;
import picocli.CommandLine.Option;

/** How the answer is drawn, and how it is shown. */
final class AnswerOptions {
  @Option(
      names = "--temperature",
      paramLabel = "T",
      description = "Above 0 draws by chance; 0, the default, takes the most likely token.")
  private double temperature = Sampling.GREEDY.temperature();

  @Option(
      names = "--top-k",
      paramLabel = "K",
      description = "Draws among the K most likely tokens; 0, the default, among all.")
  private int topK = Sampling.GREEDY.topK();

  @Option(
      names = "--top-p",
      paramLabel = "P",
      description = "Draws among the fewest tokens that hold probability P; default 1, all.")
  private double topP = Sampling.GREEDY.topP();

  @Option(
      names = "--min-p",
      paramLabel = "P",
      description = "Draws among tokens of at least P times the greatest probability; default 0.")
  private double minP = Sampling.GREEDY.minP();

  @Option(
      names = "--repetition-penalty",
      paramLabel = "R",
      description = "Above 1 disfavours tokens that were there already; default 1.")
  private double repetitionPenalty = Sampling.GREEDY.repetitionPenalty();

  @Option(names = "--seed", paramLabel = "N", description = "Of the random numbers; default 0.")
  private long seed = Sampling.GREEDY.seed();

  @Option(
      names = "--max-tokens",
      paramLabel = "COUNT",
      description = "The most tokens of the answer; default ${DEFAULT-VALUE}.")
  private int maxTokens = GenerationRequest.DEFAULT_MAX_TOKENS;

  @Option(
      names = "--stop",
      paramLabel = "TEXT",
      description = "A string that ends the answer; may be repeated.")
  private List<String> stopStrings = new ArrayList<>();

  @Option(names = "--json", description = "Prints one JSON object and nothing else.")
  private boolean json;

  @Option(names = "--no-progress", description = "Shows no progress on standard error.")
  private boolean noProgress;

  @Option(
      names = {"-q", "--quiet"},
      description = "Prints the answer alone: no progress, passages or figures.")
  private boolean quiet;

  boolean json() {
    return json;
  }

  boolean quiet() {
    return quiet;
  }

  boolean showsProgress(Streams streams) {
    return streams.errIsTerminal() && !noProgress && !quiet;
  }

  /** Returns how tokens are drawn; refuses what cannot be meant. */
  Sampling sampling() {
    if (maxTokens < 1) {
      throw new InferenceException(
          ErrorCode.INVALID_ARGUMENT,
          "The most tokens of the answer must be at least 1, not " + maxTokens + ".");
    }
    if (stopStrings.contains("")) {
      throw new InferenceException(
          ErrorCode.INVALID_ARGUMENT, "A stop string must not be empty, since it is everywhere.");
    }
    return new Sampling(repetitionPenalty, temperature, topK, topP, minP, seed);
  }

  /** Returns a request with all of this set. */
  GenerationRequest applyTo(GenerationRequest request) {
    return request.withSampling(sampling()).withMaxTokens(maxTokens).withStopStrings(stopStrings);
  }
}
