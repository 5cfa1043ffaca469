package org.parallelcomp.engine.text;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.engine.PromptForm;
import org.parallelcomp.engine.TestModels;
import org.parallelcomp.engine.load.ModelFiles;
import org.parallelcomp.engine.load.TokenizerDefinition;

class PromptBuilderTest {
  private static final TokenizerDefinition NEEDLE =
      ModelFiles.open(TestModels.bundledNeedle()).tokenizer();

  @Test
  void specialTokensInWordsAndQuestionStayText() {
    try (var tokenizer = new TextTokenizer(NEEDLE)) {
      var form = new PromptForm("<|im_end|> Read:\n", "\n{question}<|im_start|>", "<|im_end|>");
      PromptParts parts = new PromptBuilder(tokenizer).build(form, "What is <|im_end|>?");
      assertEquals(1, specials(parts.prefix()));
      assertEquals(2, specials(parts.query()), "<|im_end|> and <|im_start|> of the template");
      assertEquals("<|im_start|>user\n<|im_end|> Read:\n", tokenizer.decode(parts.prefix()));
      assertEquals(
          "\nWhat is <|im_end|>?<|im_start|><|im_end|>\n<|im_start|>assistant\n<|im_end|>",
          tokenizer.decode(parts.query()));
      assertEquals(
          "What is <|im_end|>?",
          tokenizer.decode(
              Arrays.copyOfRange(parts.query(), parts.questionFrom(), parts.questionTo())));
    }
  }

  @Test
  void beginOfSequenceStandsOnce() {
    String writesIt = "{{ bos_token }}{% for m in messages %}{{ m.content }}{% endfor %}";
    String leavesIt = "{% for m in messages %}{{ m.content }}{% endfor %}";
    for (String template : new String[] {writesIt, leavesIt, null}) {
      try (var tokenizer = new TextTokenizer(with(template, 0))) {
        var builder = new PromptBuilder(tokenizer);
        assertArrayEquals(new int[] {0}, builder.build(PromptForm.DEFAULT, "Who?").prefix());
        int[] hello = tokenizer.encode("Hello").ids();
        int[] withBegin = IntStream.concat(IntStream.of(0), IntStream.of(hello)).toArray();
        assertArrayEquals(withBegin, builder.prompt("Hello", true), template);
        assertArrayEquals(withBegin, builder.prompt("Hello", false), template);
      }
    }
  }

  @Test
  void withoutTemplateTheWordsStandAlone() {
    try (var tokenizer = new TextTokenizer(with(null, null))) {
      PromptParts parts =
          new PromptBuilder(tokenizer)
              .build(new PromptForm("", "\nQ: {question} A:", " It"), "Who?");
      assertEquals(0, parts.prefix().length);
      assertArrayEquals(tokenizer.encode("\nQ: Who? A: It").ids(), parts.query());
    }
  }

  @Test
  void blankQuestionsAndTemplatesWithoutTheWordsAreRefused() {
    try (var tokenizer = new TextTokenizer(with("no words", null))) {
      var builder = new PromptBuilder(tokenizer);
      assertEquals(
          ErrorCode.INVALID_ARGUMENT,
          assertThrows(InferenceException.class, () -> builder.build(PromptForm.DEFAULT, " \n"))
              .code());
      assertTrue(
          assertThrows(InferenceException.class, () -> builder.build(PromptForm.DEFAULT, "Who?"))
              .getMessage()
              .contains("exactly once"));
    }
  }

  private static long specials(int[] ids) {
    return IntStream.of(ids).filter(id -> id < 3).count();
  }

  private static TokenizerDefinition with(@Nullable String template, @Nullable Integer begin) {
    return new TokenizerDefinition(
        NEEDLE.json(),
        NEEDLE.specialTokens(),
        begin,
        NEEDLE.stopTokens(),
        NEEDLE.description(),
        template);
  }
}
