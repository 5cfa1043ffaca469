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
  requires jakarta.inject;
  requires jdk.jfr;
  requires static org.jspecify;

  // Needed by the automatic modules above, which cannot say so: without these lines a module path
  // that holds the jars would still not resolve them.
  requires com.fasterxml.jackson.dataformat.yaml;
  requires com.fasterxml.jackson.datatype.jdk8;
  requires com.google.common;
  requires com.google.gson;
  requires org.apache.commons.lang3;
  requires org.slf4j;

  exports org.parallelcomp.engine;

  // Functions that chat templates may call.
  opens org.parallelcomp.engine.text to
      jinjava;
  opens org.parallelcomp.engine.wire to
      com.google.guice;

  uses org.parallelcomp.api.backend.BackendProvider;
  uses org.parallelcomp.api.policy.PolicyProvider;
}
