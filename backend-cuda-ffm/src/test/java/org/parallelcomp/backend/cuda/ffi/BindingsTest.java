package org.parallelcomp.backend.cuda.ffi;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The bindings are what the lists say, and the lists are what is used. */
class BindingsTest {
  private static final Path LISTS = Path.of("bindings");
  private static final Path SOURCES = Path.of("src/main/java/org/parallelcomp/backend/cuda");
  private static final Pattern FUNCTION = Pattern.compile("public static MethodHandle (\\w+)\\$");
  private static final Pattern CONSTANT =
      Pattern.compile("public static (?:int|long|float|double|byte) ([A-Z]\\w*)\\(\\)");

  @ParameterizedTest
  @CsvSource({
    "driver, CudaDriver",
    "nvrtc, Nvrtc",
    "cublaslt, CublasLt",
    "cudnn, Cudnn",
  })
  void bindExactlyWhatTheListSays(String list, String generated) throws IOException {
    String source = Files.readString(SOURCES.resolve("bindings").resolve(generated + ".java"));
    assertEquals(
        listed(list, "--include-function"), found(FUNCTION, source), "functions of " + list);
    assertEquals(
        listed(list, "--include-constant"), found(CONSTANT, source), "constants of " + list);
    for (String type : listed(list, "--include-typedef")) {
      assertTrue(Files.exists(SOURCES.resolve("bindings").resolve(type + ".java")), type);
    }
  }

  @Test
  void everyBoundFunctionIsCalled() throws IOException {
    String callers;
    try (Stream<Path> files = Files.list(SOURCES.resolve("ffi"))) {
      callers = files.map(BindingsTest::read).collect(Collectors.joining());
    }
    var unused = new TreeSet<String>();
    try (Stream<Path> lists = Files.list(LISTS)) {
      for (Path list : lists.toList()) {
        for (String line : Files.readAllLines(list)) {
          String name = line.split(" ")[1];
          if (!line.startsWith("--include-typedef")
              && !Pattern.compile("\\b" + name + "\\b").matcher(callers).find()) {
            unused.add(name);
          }
        }
      }
    }
    assertEquals(Set.of(), unused, "bound and never used");
  }

  private static Set<String> listed(String list, String option) throws IOException {
    return Files.readAllLines(LISTS.resolve(list + ".includes")).stream()
        .filter(line -> line.startsWith(option + " "))
        .map(line -> line.substring(option.length() + 1))
        .collect(Collectors.toCollection(TreeSet::new));
  }

  private static Set<String> found(Pattern pattern, String source) {
    return pattern
        .matcher(source)
        .results()
        .map(match -> match.group(1))
        .collect(Collectors.toCollection(TreeSet::new));
  }

  private static String read(Path file) {
    try {
      return Files.readString(file);
    } catch (IOException e) {
      throw new AssertionError(e);
    }
  }
}
