package org.parallelcomp.engine;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.stream.IntStream;

/** Models and expected values that tests use. */
@SuppressWarnings("exports")
public final class TestModels {
  private static final String NEEDLE = "engine/src/test/resources/needle-6m";
  private static final String SMOLLM2 = "SmolLM2-135M-Instruct.Q4_1.gguf";

  private TestModels() {}

  /** Returns a file of needle-6m. */
  public static Path needle(String name) {
    return root().resolve(NEEDLE).resolve(name);
  }

  public static Path needleFolder() {
    return root().resolve(NEEDLE);
  }

  public static Path bundledNeedle() {
    return root()
        .resolve("models/needle-6m/src/main/resources/org/parallelcomp/models/needle6m")
        .resolve("needle-6m-q8_0.gguf");
  }

  /** Returns the file that {@code parallelcomp.smollm2} names or that lies in models/. */
  public static Optional<Path> smollm2() {
    String named = System.getProperty("parallelcomp.smollm2");
    return Optional.of(named == null ? root().resolve("models").resolve(SMOLLM2) : Path.of(named))
        .filter(Files::exists);
  }

  public static JsonNode smollm2Golden() {
    return json(root().resolve("engine/src/test/resources/smollm2-135m/golden.json"));
  }

  public static JsonNode json(Path path) {
    try {
      return new ObjectMapper().readTree(path.toFile());
    } catch (IOException e) {
      throw new IllegalStateException(path.toString(), e);
    }
  }

  /** Returns a resource of the tests in JSON. */
  public static JsonNode jsonResource(String name) {
    try (InputStream in = TestModels.class.getResourceAsStream(name)) {
      return new ObjectMapper().readTree(in);
    } catch (IOException e) {
      throw new IllegalStateException(name, e);
    }
  }

  public static String textResource(String name) {
    try (InputStream in = TestModels.class.getResourceAsStream(name)) {
      return new String(in.readAllBytes(), StandardCharsets.UTF_8);
    } catch (IOException e) {
      throw new IllegalStateException(name, e);
    }
  }

  public static int[] ints(JsonNode array) {
    return IntStream.range(0, array.size()).map(i -> array.get(i).intValue()).toArray();
  }

  private static Path root() {
    Path folder = Path.of("").toAbsolutePath();
    while (!Files.isDirectory(folder.resolve("integration-tests"))) {
      folder = folder.getParent();
    }
    return folder;
  }
}
