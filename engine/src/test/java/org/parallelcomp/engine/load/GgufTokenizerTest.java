package org.parallelcomp.engine.load;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.engine.TestModels;
import org.parallelcomp.engine.text.Encoded;
import org.parallelcomp.engine.text.TextTokenizer;

class GgufTokenizerTest {
  @TempDir Path folder;

  /** Ids and offsets of the tokenizers library in Python, with needle-6m's vocabulary. */
  @Test
  void everyWayToSplitWordsGivesTheIdsOfThePythonLibrary() {
    GgufFile file = GgufFile.read(TestModels.needle("needle-6m-f16.gguf"));
    Map<String, TextTokenizer> tokenizers = new HashMap<>();
    JsonNode cases = TestModels.jsonResource("/pre-tokenizers.json");
    assertEquals(40, cases.size());
    for (JsonNode c : cases) {
      String pre = c.path("pre").textValue();
      String text = c.path("text").textValue();
      TextTokenizer tokenizer =
          tokenizers.computeIfAbsent(pre, p -> new TextTokenizer(splitting(file, p)));
      Encoded encoded = tokenizer.encode(text);
      String which = pre + ": " + text;
      assertArrayEquals(TestModels.ints(c.path("ids")), encoded.ids(), which);
      assertArrayEquals(TestModels.ints(c.path("fromChar")), encoded.fromChar(), which);
      assertArrayEquals(TestModels.ints(c.path("toChar")), encoded.toChar(), which);
      assertEquals(text, tokenizer.decode(encoded.ids()), which);
    }
    assertEquals(Set.of("gpt-2", "smollm", "llama-bpe", "qwen2", "tekken"), tokenizers.keySet());
    tokenizers.values().forEach(TextTokenizer::close);
  }

  /** A blank more in its JSON hides from the tokenizer that it may cut its texts. */
  @ParameterizedTest
  @ValueSource(strings = {"gpt-2", "smollm", "llama-bpe", "qwen2", "tekken"})
  void longTextsInPiecesGiveTheTokensOfTheWhole(String pre) {
    long seed = 11;
    var random = new Random(seed);
    String[] parts = {
      " ", " ", "  ", "\n", "\u00a0", "\u3000", "\u0085", "\u200b", "\t", "word", "Ünï", "e\u0301",
          "\u0301",
      "123", "1", "½", "🙂", "...", "/", "\"", "'s", "'", "—", "\r\n", "\u2028", "東京"
    };
    var text = new StringBuilder();
    while (text.length() < 200_000) {
      text.append(parts[random.nextInt(parts.length)]);
    }
    GgufFile file = GgufFile.read(TestModels.needle("needle-6m-f16.gguf"));
    TokenizerDefinition cut = splitting(file, pre);
    var uncut =
        new TokenizerDefinition(
            " " + cut.json(), cut.specialTokens(), null, Set.of(), "uncut", null);
    assertTrue(cut.wordsEndBeforeBlanks());
    assertFalse(uncut.wordsEndBeforeBlanks());
    try (var pieces = new TextTokenizer(cut);
        var whole = new TextTokenizer(uncut)) {
      Encoded expected = whole.encode(text.toString());
      Encoded actual = pieces.encode(text.toString());
      assertArrayEquals(expected.ids(), actual.ids(), pre + ", seed " + seed);
      assertArrayEquals(expected.fromChar(), actual.fromChar(), pre + ", seed " + seed);
      assertArrayEquals(expected.toChar(), actual.toChar(), pre + ", seed " + seed);
    }
  }

  @Test
  void llamaBpeAddsItsBeginTokenUnlessTheFileSaysNot() {
    GgufFile file = GgufFile.read(TestModels.needle("needle-6m-f16.gguf"));
    Map<String, Object> metadata = new HashMap<>(file.metadata());
    metadata.put("tokenizer.ggml.pre", "llama-bpe");
    assertEquals(null, definition(file, metadata).beginOfSequence());
    metadata.remove("tokenizer.ggml.add_bos_token");
    assertEquals(1, definition(file, metadata).beginOfSequence());
  }

  @Test
  void stopTokensAreNamedOrKnown() {
    TokenizerDefinition needle =
        ModelFiles.open(TestModels.needle("needle-6m-f16.gguf")).tokenizer();
    assertEquals(Set.of(0, 2), needle.stopTokens(), "<|endoftext|> and <|im_end|>");
    assertEquals(3, needle.specialTokens().size());
  }

  @Test
  void unknownSplittingIsRefusedByName() {
    GgufFile file = GgufFile.read(TestModels.needle("needle-6m-f16.gguf"));
    var refused = assertThrows(InferenceException.class, () -> splitting(file, "martian"));
    assertEquals(ErrorCode.UNSUPPORTED_MODEL, refused.code());
    assertTrue(refused.getMessage().contains("martian") && refused.getMessage().contains("qwen2"));
  }

  /** Expected values from the Python library with merges made by Hugging Face's rule. */
  @Test
  void sentencePieceMergesByScoreAndFallsBackToBytes() throws IOException {
    JsonNode golden = TestModels.jsonResource("/sentence-piece.json");
    TokenizerDefinition definition = sentencePiece(golden.path("pieces"));
    List<String> merges = new ArrayList<>();
    new ObjectMapper()
        .readTree(definition.json())
        .path("model")
        .path("merges")
        .forEach(m -> merges.add(m.textValue()));
    List<String> expected = new ArrayList<>();
    golden.path("merges").forEach(m -> expected.add(m.textValue()));
    assertEquals(expected, merges);
    assertFalse(merges.contains("</ s>"), "no text may become a control token");
    assertEquals(1, definition.beginOfSequence());
    try (var tokenizer = new TextTokenizer(definition)) {
      for (JsonNode c : golden.path("cases")) {
        int[] ids = tokenizer.encode(c.path("text").textValue()).ids();
        assertArrayEquals(TestModels.ints(c.path("ids")), ids, c.path("text").textValue());
        assertEquals(c.path("decoded").textValue(), tokenizer.decode(ids));
      }
      // The emoji's four bytes are four tokens here; the stream gives it out whole.
      var decoder = tokenizer.decoder();
      var streamed = new StringBuilder();
      for (int id : TestModels.ints(golden.path("cases").get(2).path("ids"))) {
        String piece = decoder.accept(id);
        assertFalse(piece.contains("\uFFFD"), "a part of a character came out: " + piece);
        streamed.append(piece);
      }
      assertEquals("é日🙂 cat", streamed.append(decoder.finish()).toString());
    }
  }

  private TokenizerDefinition sentencePiece(JsonNode pieces) throws IOException {
    List<String> tokens = new ArrayList<>(List.of("<unk>", "<s>", "</s>"));
    for (int b = 0; b < 256; b++) {
      tokens.add(String.format(Locale.ROOT, "<0x%02X>", b));
    }
    int[] types = new int[tokens.size() + pieces.size()];
    float[] scores = new float[types.length];
    for (int i = 0; i < types.length; i++) {
      types[i] = i == 0 ? 2 : i < 3 ? 3 : i < 259 ? 6 : 1;
    }
    for (JsonNode piece : pieces) {
      scores[tokens.size()] = piece.path(1).floatValue();
      tokens.add(piece.path(0).textValue());
    }
    GgufWriter writer = GgufWriter.tinyModel();
    writer.metadata.put("tokenizer.ggml.model", "llama");
    writer.metadata.put("tokenizer.ggml.tokens", tokens.toArray(String[]::new));
    writer.metadata.put("tokenizer.ggml.token_type", types);
    writer.metadata.put("tokenizer.ggml.scores", scores);
    writer.metadata.put("tokenizer.ggml.bos_token_id", 1);
    writer.metadata.put("tokenizer.ggml.eos_token_id", 2);
    writer.metadata.remove("tokenizer.ggml.add_bos_token");
    writer.tensor("token_embd.weight", 8, tokens.size() * 34, 32, tokens.size());
    return ModelFiles.open(writer.write(folder.resolve("sp.gguf"))).tokenizer();
  }

  private static TokenizerDefinition splitting(GgufFile file, String pre) {
    Map<String, Object> metadata = new HashMap<>(file.metadata());
    metadata.put("tokenizer.ggml.pre", pre);
    return definition(file, metadata);
  }

  private static TokenizerDefinition definition(GgufFile file, Map<String, Object> metadata) {
    return new GgufTokenizer(new GgufFile(file.path(), file.version(), metadata, file.tensors()))
        .definition(4096);
  }
}
