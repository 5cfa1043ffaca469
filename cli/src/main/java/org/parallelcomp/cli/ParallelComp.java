package org.parallelcomp.cli;

import java.io.IOException;
import java.io.InputStream;
import java.io.PrintWriter;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Objects;
import java.util.Optional;
import java.util.Properties;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.parallelcomp.api.error.ErrorCategory;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.error.Names;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.IVersionProvider;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ScopeType;
import picocli.CommandLine.UnmatchedArgumentException;

/** The command itself: its subcommands, and what becomes of their failures. */
@Command(
    name = "parallelcomp",
    description =
        "Answers questions about texts that are far longer than the window of the model: chunks"
            + " are read in parallel at reused positions, and what does not help to answer is not"
            + " kept.",
    mixinStandardHelpOptions = true,
    versionProvider = ParallelComp.Version.class,
    synopsisSubcommandLabel = "COMMAND",
    footer = {
      "",
      "Exit status: 0 done, 1 a result could not be repeated, 2 input or option to correct, 3 not supported here, 4 not enough"
          + " memory, 5 device failure, 70 fault of this program, 130 interrupted.",
      "Environment: PARALLELCOMP_JAVA_HOME (the JDK to run on), PARALLELCOMP_JAVA_OPTS (options for"
          + " it), PARALLELCOMP_DEBUG=1 (stack traces)."
    })
final class ParallelComp {
  private final EngineAccess engine;
  private final Streams streams;

  @Option(
      names = "--verbose",
      scope = ScopeType.INHERIT,
      description = "Logs what goes on, and shows stack traces.")
  private boolean verbose;

  @Option(
      names = "--plugins",
      paramLabel = "DIR",
      scope = ScopeType.INHERIT,
      description =
          "A folder of jars with further policies. Default: parallelcomp/plugins in"
              + " $XDG_DATA_HOME or ~/.local/share, if it exists.")
  private @Nullable Path plugins;

  ParallelComp(EngineAccess engine, Streams streams) {
    this.engine = engine;
    this.streams = streams;
  }

  EngineAccess engine() {
    return engine;
  }

  Streams streams() {
    return streams;
  }

  /** Returns the folder of plugins, or null where none was named and the default does not exist. */
  @Nullable Path plugins() {
    if (plugins != null) {
      return plugins;
    }
    String dataHome = System.getenv("XDG_DATA_HOME");
    Path base =
        dataHome == null || dataHome.isEmpty()
            ? Path.of(System.getProperty("user.home"), ".local", "share")
            : Path.of(dataHome);
    Path folder = base.resolve("parallelcomp").resolve("plugins");
    return Files.isDirectory(folder) ? folder : null;
  }

  int run(String... args) {
    var commandLine = commandLine();
    if (args.length == 0) {
      commandLine.usage(streams.err());
      return ExitStatus.of(ErrorCategory.USER);
    }
    return commandLine.execute(args);
  }

  CommandLine commandLine() {
    var commandLine =
        new CommandLine(this)
            .addSubcommand(new AskCommand(this))
            .addSubcommand(new ExplainCommand(this))
            .addSubcommand(new GenerateCommand(this))
            .addSubcommand(new BackendsCommand(this))
            .addSubcommand(new PoliciesCommand(this))
            .addSubcommand(new InspectCommand(this))
            .addSubcommand(new ExportOnnxCommand(this))
            .addSubcommand(new DoctorCommand(this))
            .addSubcommand(new ConformanceCommand(this))
            .addSubcommand(evaluations());
    commandLine
        .setOut(new PrintWriter(streams.out(), true))
        .setErr(new PrintWriter(streams.err(), true))
        .setColorScheme(CommandLine.Help.defaultColorScheme(CommandLine.Help.Ansi.OFF))
        .setUsageHelpAutoWidth(false)
        .setUsageHelpWidth(100)
        .setCaseInsensitiveEnumValuesAllowed(true)
        .setParameterExceptionHandler(this::refuse)
        .setExecutionExceptionHandler((failure, ofCommand, result) -> fail(failure))
        .setExecutionStrategy(
            result -> {
              Logging.bind(streams.err(), verbose);
              try {
                return new CommandLine.RunLast().execute(result);
              } catch (Error e) {
                // Whoever starts this process gets a status, even while threads of it still run.
                return fail(e);
              }
            });
    return commandLine;
  }

  private CommandLine evaluations() {
    return new CommandLine(new EvalCommand())
        .addSubcommand(new EvalNeedleCommand(this))
        .addSubcommand(new EvalRetrievalCommand(this))
        .addSubcommand(new EvalPplCommand(this))
        .addSubcommand(new EvalCompareCommand(this))
        .addSubcommand(new EvalBiasCommand(this))
        .addSubcommand(new EvalJsonlCommand(this))
        .addSubcommand(new EvalRerunCommand(this))
        .addSubcommand(new EvalDrawCommand(this));
  }

  /** One sentence, a near name, and where help is. */
  private int refuse(ParameterException failure, String[] args) {
    CommandSpec spec = failure.getCommandLine().getCommandSpec();
    var sentence = new StringBuilder(sentence(failure.getMessage()));
    if (failure instanceof UnmatchedArgumentException unmatched) {
      String first = unmatched.getUnmatched().getFirst();
      if (first.startsWith("-")) {
        // Words behind an unknown option are left over too, but are no options.
        sentence.replace(0, sentence.length(), "Unknown option: '" + first + "'.");
      }
      nearest(first, spec)
          .ifPresent(name -> sentence.append(" Did you mean '").append(name).append("'?"));
    }
    sentence.append(" See '").append(spec.qualifiedName()).append(" --help'.");
    streams.err().println("parallelcomp: " + sentence);
    return ExitStatus.of(ErrorCategory.USER);
  }

  private static Optional<String> nearest(String given, CommandSpec spec) {
    String name = given.startsWith("-") ? given.replaceFirst("=.*", "") : given;
    Stream<String> candidates =
        name.startsWith("-")
            ? spec.options().stream().map(OptionSpec::longestName)
            : spec.subcommands().keySet().stream();
    return Names.nearest(name, candidates.toList());
  }

  /** Says in one sentence what went wrong, and returns the exit status for it. */
  int fail(Throwable failure) {
    if (verbose || "1".equals(System.getenv("PARALLELCOMP_DEBUG"))) {
      failure.printStackTrace(streams.err());
    }
    ErrorCategory category =
        switch (failure) {
          case InferenceException e -> e.category();
          case OutOfMemoryError _ -> ErrorCategory.RESOURCES;
          default -> ErrorCategory.INTERNAL;
        };
    String message =
        switch (failure) {
          case InferenceException e -> String.valueOf(e.getMessage());
          case OutOfMemoryError e ->
              "Java ran out of memory ("
                  + e.getMessage()
                  + "); allow more with PARALLELCOMP_JAVA_OPTS=-Xmx4g.";
          default ->
              "A fault of this program: "
                  + failure
                  + "; PARALLELCOMP_DEBUG=1 shows where it happened.";
        };
    streams.err().println("parallelcomp: " + sentence(message));
    return ExitStatus.of(category);
  }

  /** Messages may come from anywhere; one line that ends like a sentence goes to the user. */
  private static String sentence(String message) {
    String line = message.strip().replaceAll("\\s*\\R\\s*", " ");
    return line.endsWith(".") || line.endsWith("?") ? line : line + ".";
  }

  /** The project's version, written into a resource by the build. */
  static final class Version implements IVersionProvider {
    @Override
    public String[] getVersion() {
      return new String[] {"parallelcomp " + number(), "Java " + Runtime.version()};
    }

    static String number() {
      var properties = new Properties();
      try (InputStream stream = Version.class.getResourceAsStream("version.properties")) {
        properties.load(Objects.requireNonNull(stream, "version.properties"));
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
      return properties.getProperty("version");
    }
  }
}
