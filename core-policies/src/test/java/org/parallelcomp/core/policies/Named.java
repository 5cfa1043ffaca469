package org.parallelcomp.core.policies;

import org.parallelcomp.api.policy.PolicyKind;
import org.parallelcomp.api.policy.PolicyLookup;
import org.parallelcomp.api.policy.PolicySpec;

/** The policies of this module, made from their text form as a plan makes them. */
public final class Named {
  /** Finds a policy by kind and name. */
  public static final PolicyLookup LOOKUP =
      (kind, name) ->
          new CorePolicies()
              .policies().stream()
                  .filter(f -> f.kind() == kind && f.name().equals(name))
                  .findFirst()
                  .orElseThrow(() -> new AssertionError("no " + kind + " " + name));

  private Named() {}

  /** Returns the policy that a text describes. */
  public static <T> T policy(Class<T> type, String text) {
    PolicySpec spec = PolicySpec.parse(text);
    for (PolicyKind kind : PolicyKind.values()) {
      if (kind.type() == type) {
        return type.cast(LOOKUP.policy(kind, spec.name()).create(spec.parameters(), LOOKUP));
      }
    }
    throw new AssertionError("no kind of " + type);
  }
}
