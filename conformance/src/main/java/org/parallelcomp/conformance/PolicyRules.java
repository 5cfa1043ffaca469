package org.parallelcomp.conformance;

import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.extension.ExtendWith;
import org.parallelcomp.api.evidence.Evidence;
import org.parallelcomp.api.policy.PolicyKind;
import org.parallelcomp.api.policy.PolicyProvider;

/** A family of rules. Each is tried on every candidate of a kind. */
@ExtendWith(OneRule.class)
abstract class PolicyRules {
  /** Whence all numbers come. */
  static final long SEED = KitSettings.SEED;

  static final Set<Evidence> ALL_EVIDENCE = EnumSet.allOf(Evidence.class);
  static final int ANY_WINDOW = Integer.MAX_VALUE;

  /** Returns the kit that knows what is tested. */
  abstract PolicyConformance kit();

  final PolicyProvider provider() {
    return kit().provider();
  }

  /** Returns the providers whose policies may be named beside those of the provider. */
  final List<PolicyProvider> others() {
    return kit().others();
  }

  final Stream<DynamicTest> each(PolicyKind kind, Consumer<Candidate> rule) {
    return Candidate.of(provider(), others(), kind).stream()
        .map(candidate -> test(candidate.label(), () -> rule.accept(candidate)));
  }

  /** Returns a test whose failure says what to type to see it again. */
  static DynamicTest test(String label, Runnable rule) {
    return DynamicTest.dynamicTest(
        label,
        () -> {
          try {
            rule.run();
          } catch (AssertionError | RuntimeException e) {
            String again = " (again with -D" + KitSettings.SEED_PROPERTY + "=" + SEED + ")";
            throw new AssertionError(label + ": " + e.getMessage() + again, e);
          }
        });
  }
}
