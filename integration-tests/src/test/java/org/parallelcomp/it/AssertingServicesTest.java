package org.parallelcomp.it;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Map;
import java.util.ServiceLoader;
import java.util.Set;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.parallelcomp.api.backend.BackendProvider;
import org.parallelcomp.api.policy.PolicyKind;
import org.parallelcomp.api.policy.PolicyProvider;
import org.parallelcomp.conformance.asserting.AssertingBackendProvider;
import org.parallelcomp.conformance.asserting.AssertingPolicyProvider;
import org.parallelcomp.engine.Engine;

/** No backend and no policy runs in these tests without its guard. */
class AssertingServicesTest {
  private static final ClassLoader PLAIN = AssertingServicesTest.class.getClassLoader();

  private static final String HINT =
      "each provider needs a class in AssertingServices and a line in src/test/resources/asserting";

  private static <T> Set<Class<?>> classes(ServiceLoader<T> services) {
    return services.stream().map(ServiceLoader.Provider::type).collect(Collectors.toSet());
  }

  @Test
  void aGuardStandsBeforeEveryBackend() {
    Set<Class<?>> guarded =
        ServiceLoader.load(BackendProvider.class).stream()
            .map(service -> ((AssertingBackendProvider) service.get()).real().getClass())
            .collect(Collectors.toSet());
    assertEquals(classes(ServiceLoader.load(BackendProvider.class, PLAIN)), guarded, HINT);
    assertTrue(!guarded.isEmpty());
  }

  @Test
  void aGuardStandsBeforeEveryPolicy() {
    Set<Class<?>> guarded =
        ServiceLoader.load(PolicyProvider.class).stream()
            .map(service -> ((AssertingPolicyProvider) service.get()).real().getClass())
            .collect(Collectors.toSet());
    assertEquals(classes(ServiceLoader.load(PolicyProvider.class, PLAIN)), guarded, HINT);
    Object scorer = Engine.policies().policy(PolicyKind.TOKEN_SCORER, "snapkv").create(Map.of());
    assertEquals(AssertingPolicyProvider.class.getPackage(), scorer.getClass().getPackage());
  }
}
