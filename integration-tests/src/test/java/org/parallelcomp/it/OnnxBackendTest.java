package org.parallelcomp.it;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.policy.Preset;
import org.parallelcomp.engine.Engine;
import org.parallelcomp.engine.EngineConfig;
import org.parallelcomp.engine.GenerationRequest;
import org.parallelcomp.engine.GenerationResult;
import org.parallelcomp.engine.TokenSink;
import org.parallelcomp.models.needle6m.Needle6m;

/** The ONNX backend does what the processor's own does. */
class OnnxBackendTest {
  private static final String QUESTION = "Where does Mira keep the silver key?";

  private static String text;
  private static Engine cpu;
  private static Engine single;
  private static Engine bytes;

  @BeforeAll
  static void open() throws IOException {
    text =
        MobyDick.text().substring(60_000, 68_000)
            + " Mira keeps the silver key in the lighthouse. "
            + MobyDick.text().substring(68_000, 72_000);
    EngineConfig config = EngineConfig.of(Needle6m.path());
    EngineConfig onnx = config.withBackend("onnx");
    cpu = Engine.open(config.withBackend("cpu-vector"));
    single = Engine.open(onnx.withBackendOptions(Map.of("precision", "f32")));
    bytes = Engine.open(onnx.withBackendOptions(Map.of("precision", "int8")));
  }

  @AfterAll
  static void close() {
    cpu.close();
    single.close();
    bytes.close();
  }

  static Stream<String> presets() {
    return Engine.policies().presets().stream().map(Preset::name);
  }

  @ParameterizedTest
  @MethodSource("presets")
  void everyPresetGivesTheAnswerOfTheProcessorsBackend(String preset) {
    GenerationResult wanted = ask(cpu, preset);
    GenerationResult got = ask(single, preset);
    assertEquals(wanted.tokenIds(), got.tokenIds(), got::answer);
    assertEquals(wanted.citations().size(), got.citations().size());
    assertEquals(wanted.figures().keptCacheBytes(), got.figures().keptCacheBytes());
  }

  @Test
  void inBytesTheAnswerIsFound() {
    for (String preset : List.of("parallelcomp", "parallelcomp-reread")) {
      assertEquals("in the lighthouse", ask(bytes, preset).answer(), preset);
    }
  }

  private static GenerationResult ask(Engine engine, String preset) {
    return engine.generate(
        GenerationRequest.ask(text, QUESTION).withPlan(engine.plan(preset)).withMaxTokens(12),
        TokenSink.NONE);
  }

  @Test
  void whatTheDefaultPrecisionLosesIsBelowOnePerCentOfPerplexity() throws IOException {
    assertLosesLessThanOnePerCent(Needle6m.path(), Map.of());
  }

  /**
   * A file of 4-bit blocks, whose activations have outliers, which cost 4 % before they were
   * spread.
   */
  @Test
  void whatItLosesIsBelowOnePerCentOnAnotherModel() throws IOException {
    assertLosesLessThanOnePerCent(fourBitModel(), Map.of());
  }

  /** The file's blocks as they are; rounded once more, they lost 32 %. */
  @Test
  void inFourBitsAFileOfFourBitsLosesLessThanOnePerCent() throws IOException {
    assertLosesLessThanOnePerCent(fourBitModel(), Map.of("precision", "int4"));
  }

  private static Path fourBitModel() {
    Path model = Path.of("..", "models", "SmolLM2-135M-Instruct.Q4_1.gguf");
    assumeTrue(Files.exists(model), "scripts/fetch-smollm2.sh fetches the model");
    return model;
  }

  /** Blocks and single tokens, since the backend has other graphs for one than for the other. */
  private static void assertLosesLessThanOnePerCent(Path model, Map<String, String> options)
      throws IOException {
    int passages = 1;
    int tokens = 256;
    double wanted;
    double wantedWhileDecoding;
    try (var heldOut = HeldOutText.open(model, "cpu-vector", Map.of())) {
      wanted = heldOut.perplexity(passages);
      wantedWhileDecoding = heldOut.perplexityWhileDecoding(tokens);
    }
    try (var heldOut = HeldOutText.open(model, "onnx", options)) {
      double got = heldOut.perplexity(passages);
      double gotWhileDecoding = heldOut.perplexityWhileDecoding(tokens);
      System.out.printf("perplexity %.4f, in single precision %.4f%n", got, wanted);
      System.out.printf(
          "token by token %.4f, in single precision %.4f%n", gotWhileDecoding, wantedWhileDecoding);
      assertTrue(got < 1.01 * wanted, got + " against " + wanted);
      assertTrue(
          gotWhileDecoding < 1.01 * wantedWhileDecoding,
          gotWhileDecoding + " against " + wantedWhileDecoding);
    }
  }

  @Test
  void itRunsInAHandfulOfRunsPerLayerWithoutCopies() {
    Map<String, String> before = single.backend().facts();
    GenerationResult result = ask(single, "full");
    Map<String, String> after = single.backend().facts();
    long runs = Long.parseLong(after.get("runs")) - Long.parseLong(before.get("runs"));
    int layers = single.model().layers();
    // The prompt passes in pieces of 256 rows; each token of the answer is three runs a layer.
    long pieces = Math.ceilDiv(result.figures().prefilledTokens(), 256) + layers;
    long answer = result.figures().answerTokens();
    long most = (long) layers * (4 * pieces + 3 * answer) + 2 * (answer + 1);
    assertTrue(runs <= most, runs + " runs, more than " + most);
    assertEquals(before.get("copiedBytes"), after.get("copiedBytes"));
  }

  @Test
  void aProviderThatIsNotThereNamesTheArtifactToAdd() {
    InferenceException refused =
        assertThrows(
            InferenceException.class,
            () ->
                Engine.open(
                        EngineConfig.of(Needle6m.path())
                            .withBackend("onnx")
                            .withBackendOptions(Map.of("provider", "cuda")))
                    .close());
    assertEquals(ErrorCode.BACKEND_UNAVAILABLE, refused.code());
    assertTrue(
        refused.getMessage().contains("com.microsoft.onnxruntime:onnxruntime_gpu"),
        refused.getMessage());
  }

  @Test
  void graphsAreWrittenWhereTheyAreAskedFor(@TempDir Path folder) throws IOException {
    var config =
        EngineConfig.of(Needle6m.path())
            .withBackend("onnx")
            .withBackendOptions(Map.of("export", folder.toString()));
    try (Engine engine = Engine.open(config)) {
      ask(engine, "parallelcomp");
    }
    try (Stream<Path> files = Files.list(folder)) {
      List<String> names = files.map(file -> file.getFileName().toString()).toList();
      assertTrue(
          names.stream().anyMatch(name -> name.endsWith("-attention.onnx")), names::toString);
      assertTrue(
          names.stream().anyMatch(name -> name.endsWith("-attention-input.onnx")), names::toString);
    }
  }
}
