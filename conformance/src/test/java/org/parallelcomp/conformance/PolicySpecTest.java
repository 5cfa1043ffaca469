package org.parallelcomp.conformance;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.lang.reflect.Method;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/** The written rules of policies and the kit agree: no rule stands in one and not in the other. */
class PolicySpecTest {
  /** {@code | P101 | A policy's name **must** … | Why. |}. */
  private static final Pattern RULE =
      Pattern.compile("^\\| (P\\d{3}) \\| (.+) \\| ([^|]+\\.) \\|$", Pattern.MULTILINE);

  @Test
  void everyRuleIsInTheKitAndEveryTestInTheSpecification() throws IOException {
    var written = new TreeSet<String>();
    Matcher row = RULE.matcher(Files.readString(Path.of("..", "docs", "spec", "policy.md")));
    while (row.find()) {
      assertTrue(written.add(row.group(1)), row.group(1) + " stands there twice");
      assertTrue(row.group(2).contains("**must**"), row.group() + " does not say must");
    }
    List<Method> tests = tests();
    var tested = new TreeSet<String>();
    for (Method test : tests) {
      assertTrue(test.getName().startsWith("required_"), test.getName());
      tested.add(OneRule.ruleOf(test.getName()));
    }
    assertEquals(String.join(" ", written), String.join(" ", tested));
    assertTrue(written.size() >= 40, written.size() + " rules");
    Documentation.assertAtLeast(
        "figures of the policy kit",
        "The policy kit has %d rules and %d tests; it fails %d broken policies, each by the rule of its fault.",
        written.size(),
        tests.size(),
        BrokenPolicies.all().size());
  }

  private static List<Method> tests() {
    return Arrays.stream(PolicyConformance.class.getDeclaredClasses())
        .filter(family -> family.isAnnotationPresent(Nested.class))
        .flatMap(family -> Arrays.stream(family.getSuperclass().getDeclaredMethods()))
        .filter(
            method ->
                method.isAnnotationPresent(Test.class)
                    || method.isAnnotationPresent(TestFactory.class))
        .toList();
  }
}
