/** The plain double-precision backend that every other one is compared with. */
module org.parallelcomp.conformance {
  requires transitive org.parallelcomp.api;
  requires static org.jspecify;

  exports org.parallelcomp.conformance.reference;
}
