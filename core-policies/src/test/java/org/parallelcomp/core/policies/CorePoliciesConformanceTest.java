package org.parallelcomp.core.policies;

import org.parallelcomp.api.policy.PolicyProvider;
import org.parallelcomp.conformance.PolicyConformance;

class CorePoliciesConformanceTest extends PolicyConformance {
  @Override
  protected PolicyProvider provider() {
    return new CorePolicies();
  }
}
