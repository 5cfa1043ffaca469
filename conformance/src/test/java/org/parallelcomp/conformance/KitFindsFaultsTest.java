package org.parallelcomp.conformance;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.platform.engine.discovery.DiscoverySelectors.selectNestedClass;
import static org.junit.platform.engine.discovery.DiscoverySelectors.selectNestedMethod;

import java.lang.reflect.Method;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.platform.engine.TestExecutionResult;
import org.junit.platform.testkit.engine.EngineTestKit;
import org.junit.platform.testkit.engine.Events;
import org.parallelcomp.api.backend.BackendProvider;
import org.parallelcomp.conformance.faults.Breaking;
import org.parallelcomp.conformance.faults.Fault;

/** The kit can fail: each broken backend is found by the rule that speaks of its fault. */
class KitFindsFaultsTest {
  /** Nested, so that the build does not take it for a test of its own. */
  static class Broken extends BackendConformance {
    private static BackendProvider provider = Breaking.nothing();

    @Override
    protected BackendProvider provider() {
      return provider;
    }
  }

  static List<Fault> faults() {
    return Fault.all();
  }

  @ParameterizedTest
  @MethodSource("faults")
  void theKitFinds(Fault fault) {
    Broken.provider = fault.provider().get();
    Events tests = runRule(fault.rule());
    assertEquals(1, tests.started().count(), fault.rule() + " is no rule");
    List<String> failures =
        tests.failed().stream()
            .map(event -> event.getRequiredPayload(TestExecutionResult.class))
            .map(result -> result.getThrowable().orElseThrow().getMessage())
            .toList();
    assertEquals(1, failures.size(), fault + ": the kit sees nothing wrong");
    assertTrue(
        failures.getFirst().contains(KitSettings.RULE_PROPERTY + "=" + fault.rule()),
        "no command repeats " + failures);
  }

  private static Events runRule(String rule) {
    for (Class<?> family : BackendConformance.class.getDeclaredClasses()) {
      if (family.isAnnotationPresent(Nested.class)) {
        for (Method test : family.getSuperclass().getDeclaredMethods()) {
          if (test.isAnnotationPresent(Test.class) && OneRule.ruleOf(test.getName()).equals(rule)) {
            String parameters =
                Arrays.stream(test.getParameterTypes())
                    .map(Class::getName)
                    .collect(Collectors.joining(", "));
            return EngineTestKit.engine("junit-jupiter")
                .selectors(
                    selectNestedMethod(List.of(Broken.class), family, test.getName(), parameters))
                .execute()
                .testEvents();
          }
        }
      }
    }
    throw new AssertionError("there is no rule " + rule);
  }

  @Test
  void theTableOfFaultsIsInTheDocumentation() {
    var table = new StringBuilder("\n| a backend that | is found by |\n| --- | --- |\n");
    for (Fault fault : Fault.all()) {
      table.append("| ").append(fault.what()).append(" | ").append(fault.rule()).append(" |\n");
    }
    table.append("\n").append(Fault.all().size()).append(" broken backends.\n");
    Documentation.assertPart("broken backends", table.toString());
  }

  /** What the proxies of the faults do themselves is no fault. */
  @Test
  void theKitFindsNothingWhereNothingIsBroken() {
    Broken.provider = Breaking.nothing();
    for (Class<?> family :
        List.of(
            BackendConformance.Memory.class,
            BackendConformance.Cache.class,
            BackendConformance.Session.class)) {
      EngineTestKit.engine("junit-jupiter")
          .selectors(selectNestedClass(List.of(Broken.class), family))
          .execute()
          .testEvents()
          .assertStatistics(statistics -> statistics.failed(0));
    }
  }
}
