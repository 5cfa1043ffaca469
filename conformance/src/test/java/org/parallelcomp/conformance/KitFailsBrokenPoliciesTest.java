package org.parallelcomp.conformance;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.platform.engine.discovery.DiscoverySelectors.selectClass;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.platform.engine.support.descriptor.MethodSource;
import org.junit.platform.testkit.engine.EngineTestKit;
import org.parallelcomp.api.policy.PolicyProvider;

/** The kit can fail: each broken policy is failed by the rule that speaks of its fault. */
class KitFailsBrokenPoliciesTest {
  private static volatile PolicyProvider atTurn = List::of;

  // Nested, so that the build does not take it for a test of its own.
  static class Broken extends PolicyConformance {
    @Override
    protected PolicyProvider provider() {
      return atTurn;
    }
  }

  private static Set<String> brokenRules(PolicyProvider provider) {
    atTurn = provider;
    var rules = new TreeSet<String>();
    EngineTestKit.engine("junit-jupiter")
        .selectors(selectClass(Broken.class))
        .execute()
        .allEvents()
        .failed()
        .stream()
        .flatMap(event -> event.getTestDescriptor().getSource().stream())
        .filter(MethodSource.class::isInstance)
        .map(source -> OneRule.ruleOf(((MethodSource) source).getMethodName()))
        .forEach(rules::add);
    return rules;
  }

  @TestFactory
  Stream<DynamicTest> everyFaultIsFoundByItsRule() {
    return BrokenPolicies.all().stream()
        .map(
            broken ->
                DynamicTest.dynamicTest(
                    broken.fault(),
                    () -> {
                      Set<String> rules = brokenRules(broken.provider());
                      assertTrue(rules.contains(broken.rule()), () -> "broke " + rules);
                    }));
  }

  @Test
  void theSpecificationShowsWhatIsFound() throws IOException {
    String spec = Files.readString(Path.of("..", "docs", "spec", "policy.md"));
    String table =
        BrokenPolicies.all().stream()
            .map(broken -> "| " + broken.fault() + " | " + broken.rule() + " |\n")
            .collect(Collectors.joining());
    String header = "| broken policy | rule |\n| --- | --- |\n";
    assertEquals(table, spec.substring(spec.indexOf(header) + header.length()));
  }
}
