/**
 * The conformance kit: tests that every backend must pass, and the plain double-precision backend
 * that they compare with. A backend's whole test is one subclass of {@link
 * org.parallelcomp.conformance.BackendConformance}.
 */
module org.parallelcomp.conformance {
  requires transitive org.parallelcomp.api;
  requires transitive org.junit.jupiter.api;
  // Only for who runs the kit as a program.
  requires static org.junit.platform.launcher;
  requires static org.jspecify;

  exports org.parallelcomp.conformance;
  exports org.parallelcomp.conformance.asserting;
  exports org.parallelcomp.conformance.reference;

  // JUnit calls test methods that are not public.
  opens org.parallelcomp.conformance to
      org.junit.platform.commons;
  opens org.parallelcomp.conformance.tool to
      org.junit.platform.commons;

  uses org.parallelcomp.api.backend.BackendProvider;
  uses org.parallelcomp.api.policy.PolicyProvider;

  provides java.util.spi.ToolProvider with
      org.parallelcomp.conformance.tool.ConformanceTool;
}
