package org.parallelcomp.api.policy;

import java.util.Collections;
import java.util.EnumMap;
import java.util.Map;

/**
 * How a question over a text is worked out: one policy for each seam. Plain data, so that a result
 * can carry it and a run can be repeated.
 *
 * @param name the preset that it comes from
 * @param prefill how the chunks are prefilled
 * @param bindToWindow whether chunks must fit the trained window; false lets plain attention run
 *     past it, with a warning
 * @param policies a policy for every kind
 */
public record Plan(
    String name, PrefillMode prefill, boolean bindToWindow, Map<PolicyKind, PolicySpec> policies) {
  public Plan {
    policies = Collections.unmodifiableMap(new EnumMap<>(policies));
    for (PolicyKind kind : PolicyKind.values()) {
      if (!policies.containsKey(kind)) {
        throw new IllegalArgumentException("plan " + name + " has no " + kind.label());
      }
    }
  }

  /** Returns the policy of a kind. */
  public PolicySpec policy(PolicyKind kind) {
    return policies.get(kind);
  }

  /** Returns this plan with another policy of a kind. */
  public Plan with(PolicyKind kind, PolicySpec policy) {
    var changed = new EnumMap<>(policies);
    changed.put(kind, policy);
    return new Plan(name, prefill, bindToWindow, changed);
  }

  /** Returns this plan with one parameter of one policy set. */
  public Plan with(PolicyKind kind, String parameter, Object value) {
    return with(kind, policy(kind).with(parameter, value));
  }
}
