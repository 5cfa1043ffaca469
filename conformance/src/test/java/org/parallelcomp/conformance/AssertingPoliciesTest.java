package org.parallelcomp.conformance;

import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;
import org.parallelcomp.api.policy.PolicyProvider;
import org.parallelcomp.conformance.asserting.AssertingPolicyProvider;

/** The guard before a policy finds what one request shows of its fault. */
class AssertingPoliciesTest {
  /** Rules whose breach shows in the one call that breaks them. */
  private static final Set<String> SHOWN =
      Set.of("P201", "P202", "P402", "P403", "P601", "P605", "P701", "P707", "P802", "P804");

  @TestFactory
  Stream<DynamicTest> faultsAreFoundAtTheCall() {
    return BrokenPolicies.all().stream()
        .filter(broken -> SHOWN.contains(broken.rule()))
        .map(
            broken ->
                DynamicTest.dynamicTest(
                    broken.fault(),
                    () -> {
                      AssertionError found = decide(broken.provider());
                      assertNotNull(found, "nothing was found");
                      String message = String.valueOf(found.getMessage());
                      assertTrue(message.startsWith("contract: broken "), message);
                    }));
  }

  private static @Nullable AssertionError decide(PolicyProvider broken) {
    var guarded = new AssertingPolicyProvider(broken).policies().getFirst().create(Map.of());
    try {
      Decisions.of(guarded, 1);
      return null;
    } catch (AssertionError e) {
      return e;
    }
  }
}
