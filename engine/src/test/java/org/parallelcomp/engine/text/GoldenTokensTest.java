package org.parallelcomp.engine.text;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.fasterxml.jackson.databind.JsonNode;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.parallelcomp.engine.PromptForm;
import org.parallelcomp.engine.TestModels;
import org.parallelcomp.engine.load.ModelFiles;
import org.parallelcomp.engine.load.ModelSource;

/** Token ids of the models' reference implementations. */
class GoldenTokensTest {
  static Stream<Path> needleFiles() {
    return Stream.of(
        TestModels.needleFolder(),
        TestModels.needle("needle-6m-f16.gguf"),
        TestModels.bundledNeedle());
  }

  @ParameterizedTest
  @MethodSource("needleFiles")
  void needlePromptsAndParts(Path path) {
    JsonNode golden = TestModels.json(TestModels.needle("golden.json"));
    ModelSource source = ModelFiles.open(path);
    try (var tokenizer = new TextTokenizer(source.tokenizer())) {
      var builder = new PromptBuilder(tokenizer);
      assertEquals(3, golden.path("prompts").size());
      for (JsonNode prompt : golden.path("prompts")) {
        assertArrayEquals(
            TestModels.ints(prompt.path("ids")),
            builder.prompt(userTurn(prompt.path("text").textValue()), true));
        assertEquals(
            prompt.path("greedy16_text").textValue(),
            tokenizer.decode(TestModels.ints(prompt.path("greedy16"))));
      }
      JsonNode run = golden.path("parallelcomp");
      var form = new PromptForm("", "\n{question}", "");
      PromptParts parts = builder.build(form, run.path("question").textValue());
      assertArrayEquals(TestModels.ints(run.path("prefix_ids")), parts.prefix());
      assertArrayEquals(TestModels.ints(run.path("query_ids")), parts.query());
      assertEquals(1, parts.questionFrom(), "the line end before the question is not its own");
      assertEquals(10, parts.questionTo(), "nor are the seven tokens behind it");
      Encoded context = tokenizer.encode(run.path("context").textValue());
      assertEquals(
          IntStream.of(TestModels.ints(run.path("chunk_lengths"))).boxed().toList(),
          split(context.ids(), run.path("chunk_size").intValue(), tokenizer).stream()
              .map(chunk -> chunk.length)
              .toList());
    }
  }

  @Test
  void smollm2PromptsChunksAndParts() {
    assumeTrue(
        TestModels.smollm2().isPresent(),
        "SmolLM2-135M-Instruct.Q4_1.gguf is not in models/; its tests are left out");
    JsonNode golden = TestModels.smollm2Golden();
    ModelSource source = ModelFiles.open(TestModels.smollm2().orElseThrow());
    try (var tokenizer = new TextTokenizer(source.tokenizer())) {
      var builder = new PromptBuilder(tokenizer);
      for (JsonNode prompt : golden.path("prompts")) {
        boolean chat = prompt.path("special_tokens_parsed").booleanValue();
        String text = prompt.path("text").textValue();
        assertArrayEquals(
            TestModels.ints(prompt.path("ids")),
            builder.prompt(chat ? userTurn(text) : text, chat),
            prompt.path("name").textValue());
        assertEquals(
            prompt.path("greedy_text").textValue(),
            tokenizer.decode(TestModels.ints(prompt.path("greedy"))));
      }
      JsonNode run = golden.path("parallelcomp");
      PromptParts parts =
          builder.build(
              new PromptForm(
                  run.path("form").path("before").textValue(),
                  run.path("form").path("ask").textValue().replace("{q}", "{question}"),
                  run.path("form").path("lead").textValue()),
              run.path("question").textValue());
      assertArrayEquals(TestModels.ints(run.path("prefix")), parts.prefix());
      assertArrayEquals(TestModels.ints(run.path("query")), parts.query());
      assertArrayEquals(
          TestModels.ints(run.path("question_tokens")),
          IntStream.range(parts.questionFrom(), parts.questionTo()).toArray());
      List<int[]> chunks =
          split(tokenizer.encode(run.path("context").textValue()).ids(), 320, tokenizer);
      assertEquals(run.path("chunks").size(), chunks.size());
      for (int c = 0; c < chunks.size(); c++) {
        assertArrayEquals(TestModels.ints(run.path("chunks").get(c)), chunks.get(c), "chunk " + c);
      }
    }
  }

  private static String userTurn(String chat) {
    String begin = "<|im_start|>user\n";
    int from = chat.indexOf(begin) + begin.length();
    return chat.substring(from, chat.indexOf("<|im_end|>", from));
  }

  /** The references' way of cutting, which shows that the sentence ends are theirs. */
  private static List<int[]> split(int[] ids, int size, TextTokenizer tokenizer) {
    BitSet ends = tokenizer.sentenceEnds(ids);
    List<int[]> chunks = new ArrayList<>();
    for (int from = 0; from < ids.length; ) {
      int left = ids.length - from;
      int pieces = Math.ceilDiv(left, size);
      int to = from + Math.ceilDiv(left, pieces);
      if (to < ids.length) {
        for (int cut = to; cut > Math.max(from + 1, to - 64); cut--) {
          if (ends.get(cut - 1)) {
            to = cut;
            break;
          }
        }
      }
      chunks.add(Arrays.copyOfRange(ids, from, to));
      from = to;
    }
    return chunks;
  }
}
