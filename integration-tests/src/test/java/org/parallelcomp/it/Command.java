package org.parallelcomp.it;

import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;

/** Runs processes as a user would, with the Java that runs the tests, and waits for their end. */
final class Command {
  /** What the launcher adds to run on the module path. */
  static final List<String> LAUNCHER_OPTIONS =
      List.of(
          "--add-modules=ALL-MODULE-PATH",
          "--enable-native-access=ai.djl.tokenizers,ai.djl.api,com.sun.jna,"
              + "org.parallelcomp.backend.cuda.ffm");

  private static final String MAIN = "org.parallelcomp.cli.Main";

  /** Only against a hang: a hundred times what a slow machine needs. */
  private static final int MAX_MINUTES = 5;

  private Command() {}

  /**
   * What a process left behind.
   *
   * @param status its exit status
   * @param out standard output, as it is
   * @param err standard error without the virtual machine's own warnings
   * @param warnings the virtual machine's warnings
   */
  record Outcome(int status, String out, String err, List<String> warnings) {}

  /** Runs the command on the module path. */
  static Outcome onModulePath(List<String> javaOptions, String... arguments) {
    return onModulePath(javaOptions, List.of(Artifacts.distribution()), arguments);
  }

  /** Runs the command on a module path of folders and jars. */
  static Outcome onModulePath(List<String> javaOptions, List<Path> path, String... arguments) {
    List<String> line = java(javaOptions);
    line.addAll(List.of("--module-path", joined(path)));
    line.addAll(List.of("--module", "org.parallelcomp.cli/" + MAIN));
    line.addAll(List.of(arguments));
    return run(line);
  }

  /** Runs the command on the class path. */
  static Outcome onClassPath(List<String> javaOptions, String... arguments) {
    return onClassPath(javaOptions, List.of(Artifacts.distribution().resolve("*")), arguments);
  }

  /** Runs the command on a class path of jars and of folders that end with a star. */
  static Outcome onClassPath(List<String> javaOptions, List<Path> path, String... arguments) {
    List<String> line = java(javaOptions);
    line.addAll(List.of("--class-path", joined(path), MAIN));
    line.addAll(List.of(arguments));
    return run(line);
  }

  private static String joined(List<Path> path) {
    return path.stream().map(Path::toString).collect(Collectors.joining(File.pathSeparator));
  }

  /** Runs a program among the tests on the class path of the tests. */
  static Outcome ofTests(List<String> javaOptions, Class<?> program, String... arguments) {
    List<String> line = java(javaOptions);
    line.addAll(List.of("--class-path", System.getProperty("java.class.path")));
    line.add(program.getName());
    line.addAll(List.of(arguments));
    return run(line);
  }

  private static List<String> java(List<String> options) {
    var line = new ArrayList<String>();
    line.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    // The heap options of the launcher.
    line.addAll(List.of("-XX:+UseSerialGC", "-Xms32m", "-Xmx1g"));
    line.addAll(options);
    return line;
  }

  static Outcome run(List<String> line) {
    try {
      Path out = Files.createTempFile("parallelcomp", ".out");
      Path err = Files.createTempFile("parallelcomp", ".err");
      try {
        return run(line, out, err);
      } finally {
        Files.delete(out);
        Files.delete(err);
      }
    } catch (IOException | InterruptedException e) {
      throw new AssertionError("cannot run " + line, e);
    }
  }

  private static Outcome run(List<String> line, Path out, Path err)
      throws IOException, InterruptedException {
    var builder = new ProcessBuilder(line);
    // What somebody set for a Java of their own would be announced on standard error.
    for (String name : List.of("JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "PARALLELCOMP_DEBUG")) {
      builder.environment().remove(name);
    }
    builder.environment().put("LC_ALL", "C.UTF-8");
    builder.redirectOutput(out.toFile()).redirectError(err.toFile());
    Process process = builder.start();
    process.getOutputStream().close();
    if (!process.waitFor(MAX_MINUTES, TimeUnit.MINUTES)) {
      process.destroyForcibly().waitFor();
      throw new AssertionError(line + " did not end; it said " + read(err));
    }
    List<String> errors = read(err).lines().toList();
    return new Outcome(
        process.exitValue(),
        read(out),
        errors.stream()
            // Between its warnings the virtual machine leaves empty lines.
            .filter(text -> !text.startsWith("WARNING: ") && !text.isEmpty())
            .map(text -> text + "\n")
            .collect(Collectors.joining()),
        errors.stream().filter(text -> text.startsWith("WARNING: ")).toList());
  }

  private static String read(Path file) throws IOException {
    return Files.readString(file, StandardCharsets.UTF_8);
  }
}
