package org.parallelcomp.engine.text;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.engine.TestModels;

class ChatTemplateTest {
  /** Expected texts are those of Python's Jinja with the settings of Hugging Face. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "needle-6m",
        "smollm2",
        "llama-3",
        "llama-3.1",
        "mistral-7b-v0.2",
        "mistral-7b-v0.3",
        "qwen2.5",
        "qwen3"
      })
  void rendersTheTemplatesOfTheModels(String name) {
    String source = TestModels.textResource("/chat-templates/" + name + ".jinja");
    assertEquals(
        TestModels.textResource("/chat-templates/" + name + ".expected"),
        new ChatTemplate(source).render("TEXT{question}", "<BOS>"));
  }

  @Test
  void aTemplateMayRefuse() {
    String message = refusal("{{ raise_exception('Only after a system turn') }}");
    assertTrue(message.contains("Only after a system turn"), message);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "{% include '/etc/passwd' %}",
        "{% import 'x' as y %}",
        "{% extends 'logback.xml' %}",
        "{% for m in messages %}unclosed",
        "{{ messages[0 }}",
        "{% for a in range(9999) %}{% for b in range(9999) %}{% for c in range(9999) %}"
            + "{% set x = c %}{% endfor %}{% endfor %}{% endfor %}",
        "{% for a in range(9999) %}{{ 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
            + "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx' }}"
            + "{% endfor %}",
      })
  void templatesThatReachOutOrNeverEndAreRefused(String source) {
    refusal(source);
  }

  @Test
  void templatesSeeNoClasses() {
    String source = "[{{ messages.getClass().forName('java.lang.Runtime') }}{{ ''.class }}]";
    try {
      String text = new ChatTemplate(source).render("x", "");
      assertFalse(text.contains("java"), text);
    } catch (InferenceException refused) {
      assertEquals(ErrorCode.UNSUPPORTED_MODEL, refused.code());
    }
  }

  private static String refusal(String source) {
    var refused =
        assertThrows(
            InferenceException.class, () -> new ChatTemplate(source).render("x", ""), source);
    assertEquals(ErrorCode.UNSUPPORTED_MODEL, refused.code());
    assertFalse(refused.getMessage().contains("\n"), refused.getMessage());
    return refused.getMessage();
  }
}
