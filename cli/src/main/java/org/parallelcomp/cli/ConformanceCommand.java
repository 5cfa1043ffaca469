package org.parallelcomp.cli;

import java.io.IOException;
import java.io.PrintWriter;
import java.net.MalformedURLException;
import java.net.URISyntaxException;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.ServiceLoader;
import java.util.concurrent.Callable;
import java.util.spi.ToolProvider;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.parallelcomp.api.backend.Availability;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.error.Names;
import org.parallelcomp.engine.BackendStatus;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/**
 * Runs the conformance kit. Its jars and JUnit's lie in a folder of their own beside the command's,
 * so that no other command pays for them.
 */
@Command(
    name = "conformance",
    description =
        "Checks on this machine that a backend, or every policy, keeps the rules of docs/spec;"
            + " prints a row for each rule. Takes a minute or more.",
    mixinStandardHelpOptions = true,
    versionProvider = ParallelComp.Version.class)
final class ConformanceCommand implements Callable<Integer> {
  private static final String TOOL = "parallelcomp-conformance";

  private final ParallelComp command;

  @ArgGroup private @Nullable Subject subject;

  /** What is checked; at most one of them can be named. */
  private static final class Subject {
    @Option(
        names = "--backend",
        paramLabel = "ID",
        description = "The backend to check; the best that is usable unless named.")
    private @Nullable String backend;

    @Option(names = "--policies", description = "Checks the policies instead of a backend.")
    private boolean policies;
  }

  ConformanceCommand(ParallelComp command) {
    this.command = command;
  }

  @Override
  public Integer call() throws IOException {
    List<String> words =
        subject != null && subject.policies
            ? List.of("policies")
            : List.of("backend", backend(subject == null ? null : subject.backend));
    Thread thread = Thread.currentThread();
    ClassLoader before = thread.getContextClassLoader();
    try (var loader = new URLClassLoader(kit(), ConformanceCommand.class.getClassLoader())) {
      // The kit and JUnit find services by it.
      thread.setContextClassLoader(loader);
      ToolProvider tool =
          ServiceLoader.load(ToolProvider.class, loader).stream()
              .filter(provider -> provider.type().getName().startsWith("org.parallelcomp."))
              .map(ServiceLoader.Provider::get)
              .filter(provider -> provider.name().equals(TOOL))
              .findFirst()
              .orElseThrow(ConformanceCommand::missing);
      return tool.run(
          new PrintWriter(command.streams().out(), true),
          new PrintWriter(command.streams().err(), true),
          words.toArray(String[]::new));
    } finally {
      thread.setContextClassLoader(before);
    }
  }

  /** Returns the id of the backend to check, which is usable here. */
  private String backend(@Nullable String asked) {
    List<BackendStatus> all = command.engine().backends();
    List<BackendStatus> usable =
        all.stream().filter(b -> b.availability() instanceof Availability.Usable).toList();
    if (asked == null) {
      return usable.stream()
          .findFirst()
          .orElseThrow(
              () ->
                  new InferenceException(
                      ErrorCode.BACKEND_UNAVAILABLE,
                      "No backend can run here; 'parallelcomp backends' says why."))
          .id();
    }
    if (all.stream().noneMatch(b -> b.id().equals(asked))) {
      throw Names.unknown("backend", asked, all.stream().map(BackendStatus::id).toList());
    }
    if (usable.stream().noneMatch(b -> b.id().equals(asked))) {
      throw new InferenceException(
          ErrorCode.BACKEND_UNAVAILABLE,
          "Backend " + asked + " cannot run here; 'parallelcomp backends' says why.");
    }
    return asked;
  }

  /** Returns the folder beside that of the command's jars. */
  private static Path folder() {
    try {
      Path jar =
          Path.of(
              ConformanceCommand.class.getProtectionDomain().getCodeSource().getLocation().toURI());
      return jar.resolveSibling("..").resolve("conformance").normalize();
    } catch (URISyntaxException e) {
      throw new InferenceException(ErrorCode.INTERNAL, "The command's own jar cannot be found.", e);
    }
  }

  private static URL[] kit() throws IOException {
    var jars = new ArrayList<URL>();
    if (Files.isDirectory(folder())) {
      try (Stream<Path> files = Files.list(folder())) {
        for (Path jar : files.filter(file -> file.toString().endsWith(".jar")).toList()) {
          jars.add(url(jar));
        }
      }
    }
    return jars.toArray(URL[]::new);
  }

  private static URL url(Path jar) throws MalformedURLException {
    return jar.toUri().toURL();
  }

  private static InferenceException missing() {
    return new InferenceException(
        ErrorCode.FILE_NOT_READABLE,
        "The conformance kit is not installed: the jars of parallelcomp-conformance and of JUnit"
            + " belong into "
            + folder()
            + ".");
  }
}
