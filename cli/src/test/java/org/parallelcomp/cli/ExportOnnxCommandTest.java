package org.parallelcomp.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ExportOnnxCommandTest {
  private final FakeEngine engine = new FakeEngine();

  @Test
  void runsAQuestionOnTheOnnxBackendAndCountsTheGraphs(@TempDir Path folder) throws IOException {
    Files.createFile(folder.resolve("001-norm.onnx"));
    Files.createFile(folder.resolve("notes.txt"));
    Run run =
        Run.of(
            engine,
            "export-onnx",
            "--output",
            folder.toString(),
            "--backend-option",
            "precision=f32");
    assertEquals(0, run.status(), run::err);
    assertEquals("1 graphs in " + folder + System.lineSeparator(), run.out());
    assertEquals("onnx", engine.opened.getFirst().backend());
    assertEquals(
        Map.of("precision", "f32", "export", folder.toString()),
        engine.opened.getFirst().backendOptions());
    assertEquals(1, engine.requests.size());
    assertEquals(1, engine.closed);
  }

  @Test
  void anotherBackendIsRefused() {
    Run run = Run.of(engine, "export-onnx", "-o", "x", "--backend", "cpu-vector");
    assertEquals(2, run.status());
    assertTrue(run.err().contains("of the backend onnx, not of cpu-vector"), run::err);
  }
}
