package org.parallelcomp.conformance.asserting;

import org.parallelcomp.api.backend.Availability;
import org.parallelcomp.api.backend.Backend;
import org.parallelcomp.api.backend.BackendConfig;
import org.parallelcomp.api.backend.BackendProvider;

/**
 * A provider in place of another, under the same id: the backend that it opens checks at every call
 * that caller and backend keep the contract, and throws an {@link AssertionError} where one does
 * not.
 *
 * <p>Checked are: tensors of this backend in open scopes, types and shapes of arguments and
 * results, token ids, positions and indices in range, outputs that overlap no input but where that
 * is allowed, numbers of tokens in caches, selections that are ascending and in range, that what is
 * computed is also declared as supported, that no thread writes, or closes the scope of, what a
 * call of another is using, and that all scopes are closed before their backend.
 */
public class AssertingBackendProvider implements BackendProvider {
  private final BackendProvider real;

  /** Creates a provider that stands before another. */
  public AssertingBackendProvider(BackendProvider real) {
    this.real = real;
  }

  /** Returns the provider behind this one. */
  public final BackendProvider real() {
    return real;
  }

  @Override
  public final String id() {
    return real.id();
  }

  @Override
  public final String summary() {
    return real.summary();
  }

  @Override
  public final Availability probe() {
    return real.probe();
  }

  @Override
  public final Backend open(BackendConfig config) {
    return new AssertingBackend(real.open(config));
  }
}
