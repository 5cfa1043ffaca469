/** A policy of somebody else. */
module com.example.policies {
  requires org.parallelcomp.api;

  provides org.parallelcomp.api.policy.PolicyProvider with
      com.example.policies.ValueNorm.Provider;
}
