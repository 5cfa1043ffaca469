package org.parallelcomp.engine.load;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.parallelcomp.api.backend.Rope;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Shape;
import org.parallelcomp.engine.PromptForm;
import org.parallelcomp.engine.TestModels;

class ModelFilesTest {
  @TempDir Path folder;

  @Test
  void needleIsTheSameModelInEveryFormat() {
    ModelSource gguf = ModelFiles.open(TestModels.needle("needle-6m-f16.gguf"));
    ModelSource hf = ModelFiles.open(TestModels.needleFolder());
    ModelConfig c = gguf.config();
    assertEquals("GGUF v3", gguf.format());
    assertEquals("needle-6m", gguf.name());
    assertEquals("safetensors", hf.format());
    assertEquals(6, c.layers());
    assertEquals(256, c.hiddenDim());
    assertEquals(8, c.queryHeads());
    assertEquals(4, c.kvHeads());
    assertEquals(32, c.headDim());
    assertEquals(768, c.feedForwardDim());
    assertEquals(4096, c.vocab());
    assertEquals(2048, c.trainedWindow());
    assertEquals(1e-5f, c.rmsEpsilon());
    assertEquals(Rope.Style.INTERLEAVED, c.rope().style());
    assertEquals(Rope.Style.HALF_SPLIT, hf.config().rope().style());
    assertArrayEquals(c.rope().inverseFrequencies(), hf.config().rope().inverseFrequencies());
    assertEquals(gguf.weights().keySet(), hf.weights().keySet());
    gguf.weights()
        .forEach((name, w) -> assertEquals(w.shape(), hf.weights().get(name).shape(), name));
    WeightEntry embedding = hf.weights().get("token_embd.weight");
    assertEquals(Shape.of(4096, 256), embedding.shape());
    assertEquals(DType.F16, embedding.dtype());
  }

  @Test
  void theBundledModelBringsItsWords() {
    ModelSource bundled = ModelFiles.open(TestModels.bundledNeedle());
    assertEquals(new PromptForm("", "\n{question}", ""), bundled.form());
    assertEquals(DType.Q8_0, bundled.weights().get("token_embd.weight").dtype());
  }

  @Test
  void wordsBesideAModelAreReadAndChecked() throws IOException {
    Path model = GgufWriter.tinyModel().write(folder.resolve("tiny.gguf"));
    assertEquals(PromptForm.DEFAULT, ModelFiles.open(model).form());
    Path words = folder.resolve("tiny.parallelcomp.properties");
    Files.writeString(words, "instruction=Lies:\\u0020\nanswer-lead=Die Antwort – ");
    assertEquals(
        new PromptForm("Lies: ", "\n\nQuestion: {question}", "Die Antwort – "),
        ModelFiles.open(model).form());
    Files.writeString(words, "awnser-lead=x");
    assertTrue(refusal(model, ErrorCode.UNKNOWN_NAME).contains("'answer-lead'"));
  }

  @Test
  void missingAndForeignFilesAreNamed() throws IOException {
    assertTrue(refusal(folder.resolve("no.gguf"), ErrorCode.FILE_NOT_READABLE).contains("no.gguf"));
    Path text = Files.writeString(folder.resolve("a.txt"), "text, not weights");
    assertTrue(refusal(text, ErrorCode.CORRUPT_FILE).contains("GGUF"));
    Path weights = Files.write(folder.resolve("model.safetensors"), new byte[20]);
    assertTrue(refusal(weights, ErrorCode.FILE_NOT_READABLE).contains("folder"));
    String lacking = refusal(folder, ErrorCode.FILE_NOT_READABLE);
    assertTrue(lacking.contains("config.json") && lacking.contains("tokenizer.json"), lacking);
  }

  @Test
  void bigEndianAndOtherVersionsAreNamed() throws IOException {
    GgufWriter writer = GgufWriter.tinyModel();
    writer.version = Integer.reverseBytes(3);
    Path path = writer.write(folder.resolve("big.gguf"));
    assertTrue(refusal(path, ErrorCode.UNSUPPORTED_MODEL).contains("big-endian"));
    writer.version = 1;
    writer.write(path);
    assertTrue(refusal(path, ErrorCode.UNSUPPORTED_MODEL).contains("version 1"));
    writer.version = 2;
    assertEquals("GGUF v2", ModelFiles.open(writer.write(path)).format());
  }

  @Test
  void unsupportedArchitecturesAndTypesAreNamed() throws IOException {
    Path path = folder.resolve("x.gguf");
    GgufWriter writer = GgufWriter.tinyModel();
    writer.metadata.put("general.architecture", "mamba");
    writer.write(path);
    assertTrue(refusal(path, ErrorCode.UNSUPPORTED_MODEL).contains("'mamba'"));
    GgufWriter.tinyModel().tensor("blk.0.ffn_up.weight", 10, 84, 256, 1).write(path);
    String message = refusal(path, ErrorCode.UNSUPPORTED_MODEL);
    assertTrue(message.contains("Q2_K") && message.contains("Q4_K"), message);
    GgufWriter.tinyModel().tensor("blk.0.attn_output.bias", 0, 128, 32).write(path);
    assertTrue(refusal(path, ErrorCode.UNSUPPORTED_MODEL).contains("blk.0.attn_output.bias"));
  }

  @Test
  void everythingThatDoesNotFitIsListedAtOnce() throws IOException {
    GgufWriter writer = GgufWriter.tinyModel();
    writer.dropTensor("blk.0.ffn_up.weight");
    writer.tensor("blk.0.attn_k.weight", 1, 64 * 8, 32, 8);
    Path path = writer.write(folder.resolve("x.gguf"));
    String message = refusal(path, ErrorCode.CORRUPT_FILE);
    assertTrue(message.contains("missing blk.0.ffn_up.weight [32, 32]"), message);
    assertTrue(message.contains("blk.0.attn_k.weight has the shape [8, 32] instead of [16, 32]"));
  }

  @Test
  void slidingWindowAndRopeFactorsAreHeeded() throws IOException {
    GgufWriter writer = GgufWriter.tinyModel();
    writer.metadata.put("llama.attention.sliding_window", 16);
    ByteBuffer factors = ByteBuffer.allocate(16).order(ByteOrder.LITTLE_ENDIAN);
    factors.putFloat(1).putFloat(2).putFloat(4).putFloat(8);
    writer.tensor("rope_freqs.weight", 0, factors.array(), 4);
    ModelConfig config = ModelFiles.open(writer.write(folder.resolve("x.gguf"))).config();
    assertEquals(16, config.trainedWindow());
    float[] plain = RopeFrequencies.plain(10000, 8);
    assertArrayEquals(
        new float[] {plain[0], plain[1] / 2, plain[2] / 4, plain[3] / 8},
        config.rope().inverseFrequencies());
    writer.metadata.put("llama.rope.scaling.type", "yarn");
    Path yarn = writer.write(folder.resolve("x.gguf"));
    assertTrue(refusal(yarn, ErrorCode.UNSUPPORTED_MODEL).contains("'yarn'"));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "\"rope_scaling\": {\"type\": \"linear\", \"factor\": 2}, | 0.5 | 64",
        "\"rope_parameters\": {\"rope_type\": \"default\", \"rope_theta\": 100}, | 1 | 64",
        "\"sliding_window\": 32, \"x\": \"Llama\", | 1 | 64",
        "\"sliding_window\": 32, \"x\": \"Mistral\", | 1 | 32",
        "\"sliding_window\": 32, \"x\": \"Qwen2\", | 1 | 64",
        "\"sliding_window\": 32, \"use_sliding_window\": true, \"x\": \"Qwen3\", | 1 | 32",
      })
  void huggingFaceSettings(String setting, float firstFrequency, int window) throws IOException {
    TinySafetensors.write(folder, null);
    String family = setting.replaceFirst("(?s).*\"x\": \"(\\w+)\".*", "$1");
    String plain = TinySafetensors.CONFIG.strip().substring(1);
    config("{" + setting + (setting.contains("\"x\"") ? plain.replace("Llama", family) : plain));
    ModelConfig config = ModelFiles.open(folder).config();
    assertEquals(firstFrequency, config.rope().inverseFrequencies()[0]);
    assertEquals(window, config.trainedWindow());
  }

  @Test
  void huggingFaceRefusalsNameTheThing() throws IOException {
    TinySafetensors.write(folder, null);
    config(TinySafetensors.CONFIG.replace("Llama", "Falcon"));
    assertTrue(refusal(folder, ErrorCode.UNSUPPORTED_MODEL).contains("'FalconForCausalLM'"));
    config(
        "{\"rope_scaling\": {\"rope_type\": \"yarn\", \"factor\": 2},"
            + TinySafetensors.CONFIG.strip().substring(1));
    assertTrue(refusal(folder, ErrorCode.UNSUPPORTED_MODEL).contains("'yarn'"));
    config(TinySafetensors.CONFIG.replace("\"tie_word_embeddings\": true", "\"x\": 1"));
    assertTrue(refusal(folder, ErrorCode.CORRUPT_FILE).contains("lm_head.weight"));
  }

  @Test
  void shardsAreFoundThroughTheIndex() throws IOException {
    TinySafetensors.write(folder, null);
    Files.delete(folder.resolve("model.safetensors"));
    Map<String, int[]> first = new LinkedHashMap<>();
    Map<String, int[]> second = new LinkedHashMap<>();
    var index = new StringBuilder();
    TinySafetensors.shapes()
        .forEach(
            (name, shape) -> {
              boolean mlp = name.contains("mlp");
              (mlp ? second : first).put(name, shape);
              index
                  .append(index.isEmpty() ? "" : ",")
                  .append("\"" + name + "\":\"" + (mlp ? "b" : "a") + ".safetensors\"");
            });
    Files.write(folder.resolve("a.safetensors"), TinySafetensors.weights(first));
    Files.write(folder.resolve("b.safetensors"), TinySafetensors.weights(second));
    Path indexFile = folder.resolve("model.safetensors.index.json");
    Files.writeString(indexFile, "{\"weight_map\":{" + index + "}}");
    ModelSource source = ModelFiles.open(folder);
    assertEquals(11, source.weights().size());
    assertEquals(
        "b.safetensors",
        source.weights().get("blk.0.ffn_up.weight").region().file().getFileName().toString());
    Files.writeString(indexFile, "{\"weight_map\":{\"model.norm.weight\":\"../../etc/passwd\"}}");
    assertTrue(refusal(folder, ErrorCode.CORRUPT_FILE).contains("no file name"));
  }

  private void config(String json) throws IOException {
    Files.writeString(folder.resolve("config.json"), json);
  }

  private static String refusal(Path path, ErrorCode code) {
    var refused = assertThrows(InferenceException.class, () -> ModelFiles.open(path));
    assertEquals(code, refused.code(), refused.getMessage());
    assertTrue(refused.getMessage().endsWith("."), refused.getMessage());
    return refused.getMessage();
  }
}
