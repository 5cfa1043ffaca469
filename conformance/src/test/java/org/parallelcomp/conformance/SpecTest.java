package org.parallelcomp.conformance;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.lang.reflect.Method;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Disabled;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.Test;

/** The written rules of a backend and the kit agree: no rule stands in one and not in the other. */
class SpecTest {
  private static final Path SPEC = Path.of("..", "docs", "spec", "backend.md");

  /** {@code | B101 | A provider **must** … | Why. |}. */
  private static final Pattern RULE =
      Pattern.compile("^\\| (B\\d{3}) \\| (.+) \\| ([^|]+) \\|$", Pattern.MULTILINE);

  /** Returns the sentence of each rule in the specification. */
  static Map<String, String> rules() throws IOException {
    var rules = new TreeMap<String, String>();
    Matcher row = RULE.matcher(Files.readString(SPEC));
    while (row.find()) {
      assertNull(rules.put(row.group(1), row.group(2)), row.group(1) + " stands there twice");
      assertTrue(row.group(3).endsWith("."), row.group(1) + " has no intent");
    }
    assertTrue(rules.size() >= 60, "only " + rules.size() + " rules were found in " + SPEC);
    return rules;
  }

  /** Returns the tests of the kit. */
  static Stream<Method> tests() {
    return Arrays.stream(BackendConformance.class.getDeclaredClasses())
        .filter(family -> family.isAnnotationPresent(Nested.class))
        .flatMap(family -> Arrays.stream(family.getSuperclass().getDeclaredMethods()))
        .filter(method -> method.isAnnotationPresent(Test.class));
  }

  @Test
  void everyRuleIsInTheKitAndEveryTestInTheSpecification() throws IOException {
    var tested = new TreeSet<String>();
    tests().forEach(test -> tested.add(OneRule.ruleOf(test.getName())));
    assertEquals(String.join(" ", rules().keySet()), String.join(" ", tested));
  }

  @Test
  void everyRuleSaysMustOrShould() throws IOException {
    rules()
        .forEach(
            (rule, sentence) ->
                assertTrue(
                    sentence.contains("**must") || sentence.contains("**should"),
                    rule + " says neither must nor should: " + sentence));
  }

  @Test
  void everyTestSaysWhetherItsRuleIsRequired() throws IOException {
    Map<String, String> rules = rules();
    tests()
        .forEach(
            test -> {
              String name = test.getName();
              String rule = OneRule.ruleOf(name);
              boolean must = rules.getOrDefault(rule, "").contains("**must");
              if (name.startsWith("untested_")) {
                Disabled why = test.getAnnotation(Disabled.class);
                assertFalse(why == null || why.value().isBlank(), name + " does not say why");
              } else {
                assertTrue(name.startsWith(must ? "required_" : "advised_"), name);
              }
            });
  }

  @Test
  void everyBoundIsInTheSpecification() throws IOException {
    String spec = Files.readString(SPEC);
    for (Bound bound : Bound.values()) {
      String error =
          Double.toString(bound.squaredError())
              .replace(".0E", "e")
              .replace("E", "e")
              .replace("0.0", "0");
      String row = "| `" + bound + "` | " + error + " |";
      assertTrue(spec.contains(row), row);
    }
    assertTrue(spec.contains((int) Bound.SPREAD + " times"), "the spread of single elements");
  }
}
