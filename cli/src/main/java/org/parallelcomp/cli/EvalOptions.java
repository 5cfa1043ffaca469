package org.parallelcomp.cli;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.eval.EvalSpec;
import org.parallelcomp.eval.FileFact;
import org.parallelcomp.eval.cases.Scoring;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** What all evaluations have in common. */
final class EvalOptions {
  @Mixin private ModelOptions model = new ModelOptions();

  @Option(
      names = "--plan",
      paramLabel = "PLAN",
      description =
          "A preset, perhaps with changes: \"parallelcomp + budget.keep=512 + merge=reread\"; or"
              + " truncation, ntk, yarn. May be repeated. Default: parallelcomp.")
  private List<String> plans = new ArrayList<>();

  @Option(
      names = {"-o", "--out"},
      paramLabel = "DIR",
      description = "Where the files go. Default: eval-results.")
  private Path out = Path.of("eval-results");

  @Option(names = "--name", paramLabel = "NAME", description = "Of the files; default: the kind.")
  private @Nullable String name;

  @Option(names = "--seed", paramLabel = "N", description = "Of the cases; default 0.")
  private long seed;

  @Option(
      names = "--words",
      paramLabel = "WHOSE",
      description =
          "task takes the words of the benchmark around text and question where it has some, model"
              + " those that suit the model. Default: ${DEFAULT-VALUE}.")
  private EvalSpec.Words words = EvalSpec.Words.TASK;

  @Option(
      names = "--lead",
      negatable = true,
      description =
          "Answers begin with words of the question, or do not. Default: as the benchmark does.")
  private @Nullable Boolean lead;

  @Option(
      names = "--instruction",
      paramLabel = "WORDS",
      description = "Words before the text; \\n begins a line.")
  private @Nullable String instruction;

  @Option(
      names = "--question-form",
      paramLabel = "WORDS",
      description = "Words behind the text, holding {question} once; \\n begins a line.")
  private @Nullable String questionForm;

  @Option(
      names = "--max-tokens",
      paramLabel = "COUNT",
      description = "The most tokens of an answer. Default: what the task says.")
  private int maxTokens;

  @Option(
      names = "--engines",
      paramLabel = "COUNT",
      description =
          "Engines that share the cases, each with the model and with --threads of its own, for a"
              + " machine with many cores. Default: ${DEFAULT-VALUE}.")
  private int engines = 1;

  @Option(
      names = "--no-pictures",
      description = "Draws none; 'parallelcomp eval draw' can do it later.")
  private boolean noPictures;

  @Option(
      names = "--no-times",
      description = "Leaves times out of the files, for a machine that does other work meanwhile.")
  private boolean noTimes;

  @Option(names = "--no-progress", description = "Shows no progress on standard error.")
  private boolean noProgress;

  ModelOptions model() {
    return model;
  }

  int engines() {
    requireSome(engines);
    return engines;
  }

  /** Refuses a number of engines that is none. */
  static void requireSome(int engines) {
    if (engines < 1) {
      throw refusal("There must be at least 1 engine, not " + engines + ".");
    }
  }

  boolean pictures() {
    return !noPictures;
  }

  boolean times() {
    return !noTimes;
  }

  Path out() {
    return out;
  }

  String name(EvalSpec.Kind kind) {
    return name == null ? kind.name().toLowerCase(Locale.ROOT) : name;
  }

  boolean showsProgress(Streams streams) {
    return streams.errIsTerminal() && !noProgress;
  }

  /**
   * Returns a specification with everything in it that all evaluations have in common.
   *
   * @param plansByDefault taken where no plan is named
   */
  Draft draft(EvalSpec.Kind kind, String... plansByDefault) {
    return new Draft(kind, plans.isEmpty() ? List.of(plansByDefault) : List.copyOf(plans));
  }

  /** A specification that is being put together. */
  final class Draft {
    private final EvalSpec.Kind kind;
    private final List<String> plans;
    private List<String> tasks = List.of();
    private List<Integer> lengths = List.of();
    private List<Double> depths = List.of();
    private int samples = 1;
    private List<FileFact> filler = List.of();
    private @Nullable FileFact data;
    private Scoring scoring = Scoring.STRING_MATCH_ALL;
    private int scoredTokens;
    private int questionTokens;
    private long kvBytes;
    private int fidelityTokens;
    private EvalSpec.Contexts contexts = EvalSpec.Contexts.ANEW;

    private Draft(EvalSpec.Kind kind, List<String> plans) {
      this.kind = kind;
      this.plans = plans;
    }

    Draft grid(List<String> givenTasks, GridOptions grid) {
      tasks = givenTasks;
      lengths = Arrays.stream(grid.lengths().split(",")).map(EvalOptions::length).toList();
      samples = grid.samples();
      filler = grid.filler().stream().map(FileFact::of).toList();
      return this;
    }

    Draft depths(String percents) {
      depths = Arrays.stream(percents.split(",")).map(p -> number(p, "depth") / 100).toList();
      return this;
    }

    Draft data(Path file, Scoring how, EvalSpec.Contexts reading) {
      data = FileFact.of(file);
      scoring = how;
      contexts = reading;
      return this;
    }

    Draft likelihood(int scored, int question) {
      scoredTokens = scored;
      questionTokens = question;
      return this;
    }

    Draft sameBytes(long bytes, int fidelity) {
      kvBytes = bytes;
      fidelityTokens = fidelity;
      return this;
    }

    EvalSpec spec() {
      return new EvalSpec(
          kind,
          plans,
          tasks,
          lengths,
          depths,
          samples,
          seed,
          filler,
          words,
          lead,
          lines(instruction),
          lines(questionForm),
          maxTokens,
          data,
          scoring,
          scoredTokens,
          questionTokens,
          kvBytes,
          fidelityTokens,
          contexts);
    }
  }

  private static @Nullable String lines(@Nullable String words) {
    return words == null ? null : words.replace("\\n", "\n");
  }

  /** Returns a number of tokens, as in 4096 or 4K. */
  static int length(String text) {
    String digits = text.strip();
    boolean kilo = digits.endsWith("K") || digits.endsWith("k");
    double number = number(kilo ? digits.substring(0, digits.length() - 1) : digits, "length");
    double tokens = kilo ? number * 1024 : number;
    if (tokens < 1 || tokens > 1 << 24 || tokens != Math.rint(tokens)) {
      throw refusal("'" + text + "' is no length in tokens, such as 4096 or 4K.");
    }
    return (int) tokens;
  }

  /** Returns a number of bytes, as in 1048576, 512K or 1M. */
  static long bytes(String text) {
    String digits = text.strip().toUpperCase(Locale.ROOT).replaceFirst("I?B$", "");
    int shift =
        digits.endsWith("K") ? 10 : digits.endsWith("M") ? 20 : digits.endsWith("G") ? 30 : 0;
    double number = number(shift == 0 ? digits : digits.substring(0, digits.length() - 1), "size");
    double bytes = number * (1L << shift);
    if (bytes < 1 || bytes > 1L << 50) {
      throw refusal("'" + text + "' is no number of bytes, such as 1048576, 512K or 1M.");
    }
    return (long) bytes;
  }

  private static double number(String text, String what) {
    try {
      return Double.parseDouble(text.strip());
    } catch (NumberFormatException e) {
      throw new InferenceException(
          ErrorCode.INVALID_ARGUMENT, "'" + text + "' is no " + what + ".", e);
    }
  }

  private static InferenceException refusal(String sentence) {
    return new InferenceException(ErrorCode.INVALID_ARGUMENT, sentence);
  }
}
