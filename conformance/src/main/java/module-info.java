/**
 * The conformance kit: tests that every backend must pass, and the plain double-precision backend
 * that they compare with. A backend's whole test is one subclass of {@link
 * org.parallelcomp.conformance.BackendConformance}.
 */
module org.parallelcomp.conformance {
  requires transitive org.parallelcomp.api;
  requires transitive org.junit.jupiter.api;
  requires static org.jspecify;

  exports org.parallelcomp.conformance;
  exports org.parallelcomp.conformance.reference;

  // JUnit calls test methods that are not public.
  opens org.parallelcomp.conformance to
      org.junit.platform.commons;
}
