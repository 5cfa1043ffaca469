/**
 * The contract between the engine, the backends and the policies: tensors, operations, evidence and
 * strategies. It holds no computation, needs nothing but {@code java.base}, and shows no type of
 * the foreign-memory API, the Vector API or a third party in any signature.
 */
module org.parallelcomp.api {
  requires static transitive org.jspecify;

  exports org.parallelcomp.api.backend;
  exports org.parallelcomp.api.cache;
  exports org.parallelcomp.api.error;
  exports org.parallelcomp.api.evidence;
  exports org.parallelcomp.api.policy;
  exports org.parallelcomp.api.tensor;
}
