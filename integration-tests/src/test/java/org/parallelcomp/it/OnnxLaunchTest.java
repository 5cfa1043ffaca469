package org.parallelcomp.it;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.StreamSupport;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * The command with the backend on ONNX Runtime, started as the launcher does: what {@code -Ponnx}
 * packages is the command's own folder and two jars more.
 */
@Tag("packaged")
class OnnxLaunchTest {
  private static final String NATIVE =
      "--enable-native-access=ai.djl.tokenizers,ai.djl.api,com.sun.jna,org.parallelcomp.backend.onnx";

  @TempDir private static Path folder;
  private static String modulePath;
  private static String text;

  @BeforeAll
  static void prepare() throws IOException {
    Path library =
        StreamSupport.stream(Artifacts.classPath().spliterator(), false)
            .filter(entry -> entry.getFileName().toString().startsWith("onnxruntime-"))
            .findFirst()
            .orElseThrow();
    modulePath =
        String.join(
            File.pathSeparator,
            Artifacts.distribution().toString(),
            Artifacts.jars().get("parallelcomp-backend-onnx").toString(),
            library.toString());
    text =
        Files.writeString(
                folder.resolve("text.txt"),
                "It was a dark night. Mira keeps the silver key in the lighthouse. The wind blew.\n")
            .toString();
  }

  private static Command.Outcome run(String... arguments) {
    var line = new ArrayList<String>();
    line.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    line.addAll(List.of("-XX:+UseSerialGC", "-Xmx1g", "--add-modules=ALL-MODULE-PATH", NATIVE));
    line.addAll(List.of("--module-path", modulePath));
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
      assertEquals(
          List.of(),
          outcome.warnings().stream().filter(warning -> warning.contains("native")).toList(),
          "native access was granted");
    }
  }

  @Test
  void listsItsExecutionProviders() {
    Command.Outcome outcome = run("backends");
    assertEquals(0, outcome.status(), outcome::err);
    assertTrue(outcome.out().contains("onnx: graphs for ONNX Runtime"), outcome::out);
    assertTrue(
        outcome.out().contains("execution providers cpu (with other builds of the library also"),
        outcome::out);
    assertTrue(outcome.out().contains("cuda, directml, openvino"), outcome::out);
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
