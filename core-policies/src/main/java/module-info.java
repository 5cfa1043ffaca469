/** Chunking, eviction and calibration, written once against the tensor SPI. */
module org.parallelcomp.core.policies {
  requires org.parallelcomp.api;
  requires static org.jspecify;

  provides org.parallelcomp.api.policy.PolicyProvider with
      org.parallelcomp.core.policies.CorePolicies;
}
