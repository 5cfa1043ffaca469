/**
 * Model files, tokenizer, decoder, cache and the path of a question. Backends and policies are
 * found by ServiceLoader.
 */
module org.parallelcomp.engine {
  requires transitive org.parallelcomp.api;
  requires com.google.guice;
  requires com.fasterxml.jackson.databind;
  requires ai.djl.tokenizers;
  requires jinjava;
  requires jdk.jfr;
  requires static org.jspecify;

  exports org.parallelcomp.engine;

  // Templates call two functions by reflection.
  opens org.parallelcomp.engine.text to
      jinjava;

  uses org.parallelcomp.api.backend.BackendProvider;
  uses org.parallelcomp.api.policy.PolicyProvider;
}
