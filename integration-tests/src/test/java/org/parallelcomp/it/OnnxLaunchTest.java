package org.parallelcomp.it;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * The distribution with the backend on ONNX Runtime: the folder that {@code -Ponnx} packages is the
 * command's own with two jars more. Started as the launcher starts it.
 */
@Tag("packaged")
class OnnxLaunchTest {
  private static final String NATIVE =
      "--enable-native-access=ai.djl.tokenizers,ai.djl.api,com.sun.jna,org.parallelcomp.backend.onnx";

  @TempDir private static Path distribution;
  private static String text;

  @BeforeAll
  static void copy() throws IOException {
    try (DirectoryStream<Path> jars = Files.newDirectoryStream(Artifacts.distribution(), "*.jar")) {
      for (Path jar : jars) {
        link(jar);
      }
    }
    link(Artifacts.jars().get("parallelcomp-backend-onnx"));
    link(
        StreamSupport.stream(Artifacts.classPath().spliterator(), false)
            .filter(entry -> entry.getFileName().toString().startsWith("onnxruntime-"))
            .findFirst()
            .orElseThrow());
    text =
        Files.writeString(
                distribution.resolve("text.txt"),
                "It was a dark night. Mira keeps the silver key in the lighthouse. The wind blew.\n")
            .toString();
  }

  private static void link(Path jar) throws IOException {
    Path target = distribution.resolve(jar.getFileName());
    if (!Files.exists(target)) {
      Files.createSymbolicLink(target, jar.toAbsolutePath());
    }
  }

  private static Command.Outcome run(String... arguments) {
    var line = new ArrayList<String>();
    line.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    line.addAll(List.of("-XX:+UseSerialGC", "-Xmx1g", "--add-modules=ALL-MODULE-PATH", NATIVE));
    line.addAll(List.of("--module-path", distribution.toString()));
    line.addAll(List.of("--module", "org.parallelcomp.cli/org.parallelcomp.cli.Main"));
    line.addAll(Arrays.asList(arguments));
    return Command.run(line);
  }

  @Test
  void answersInEveryPrecisionThatKeepsTheAnswer() {
    for (String precision : List.of("f32", "int8")) {
      Command.Outcome outcome =
          run(
              "ask",
              "-q",
              "--onnx-precision",
              precision,
              "--text",
              text,
              "Where does Mira keep the silver key?");
      assertEquals(0, outcome.status(), outcome::err);
      assertEquals("in the lighthouse", outcome.out().strip(), precision);
      assertEquals("", outcome.err());
      assertTrue(
          Stream.of(outcome.warnings().toArray()).noneMatch(w -> w.toString().contains("native")),
          () -> "native access was granted: " + outcome.warnings());
    }
  }

  @Test
  void listsItsExecutionProviders() {
    Command.Outcome outcome = run("backends");
    assertEquals(0, outcome.status(), outcome::err);
    assertTrue(outcome.out().contains("onnx: graphs for ONNX Runtime"), outcome::out);
    assertTrue(outcome.out().contains("execution providers cpu"), outcome::out);
  }

  @Test
  void aProviderThatIsMissingNamesWhatToAdd() {
    Command.Outcome outcome =
        run("ask", "--onnx-provider", "openvino", "--text", text, "Where is the key?");
    assertEquals(3, outcome.status(), outcome::err);
    assertTrue(outcome.err().contains("onnxruntime-openvino"), outcome::err);
    assertTrue(outcome.err().contains("-Dparallelcomp.onnx.library=FILE"), outcome::err);
  }
}
