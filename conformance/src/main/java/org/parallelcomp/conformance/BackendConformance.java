package org.parallelcomp.conformance;

import org.junit.jupiter.api.Nested;
import org.parallelcomp.api.backend.BackendProvider;

/**
 * The whole test of a backend: a subclass that names its provider. Every operation is compared with
 * the {@link org.parallelcomp.conformance.reference.ReferenceBackend} on seeded data; a failure
 * prints the case and the command that repeats it. What a backend does not support it must refuse,
 * and the kit asserts that it does. Each test bears the number of a rule in {@code
 * docs/spec/backend.md}, which also says which system properties steer a run.
 *
 * <pre>
 * class MyBackendTest extends BackendConformance {
 *   &#64;Override
 *   protected BackendProvider provider() {
 *     return new MyBackendProvider();
 *   }
 * }
 * </pre>
 */
public abstract class BackendConformance {
  /** For subclasses. */
  protected BackendConformance() {}

  /** Returns the provider of the backend to be tested, which must be usable here. */
  protected abstract BackendProvider provider();

  /** Provider, scopes, files and transfers. */
  @Nested
  class Memory extends MemoryRules {
    @Override
    BackendProvider provider() {
      return BackendConformance.this.provider();
    }
  }

  /** What policies are written in. */
  @Nested
  class TensorOperations extends TensorRules {
    @Override
    BackendProvider provider() {
      return BackendConformance.this.provider();
    }
  }

  /** The parts of a decoder layer. */
  @Nested
  class DecoderOperations extends DecoderRules {
    @Override
    BackendProvider provider() {
      return BackendConformance.this.provider();
    }
  }

  /** Attention, its partial merge and its mass. */
  @Nested
  class Attention extends AttentionRules {
    @Override
    BackendProvider provider() {
      return BackendConformance.this.provider();
    }
  }

  /** The key-value cache. */
  @Nested
  class Cache extends CacheRules {
    @Override
    BackendProvider provider() {
      return BackendConformance.this.provider();
    }
  }

  /** Whole requests, by turns and at once. */
  @Nested
  class Session extends SessionRules {
    @Override
    BackendProvider provider() {
      return BackendConformance.this.provider();
    }
  }
}
