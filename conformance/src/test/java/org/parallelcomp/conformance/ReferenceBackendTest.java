package org.parallelcomp.conformance;

import org.parallelcomp.api.backend.BackendProvider;
import org.parallelcomp.conformance.reference.ReferenceBackendProvider;

/** The kit passes on its own oracle, guards and refusals included. */
class ReferenceBackendTest extends BackendConformance {
  @Override
  protected BackendProvider provider() {
    return new ReferenceBackendProvider();
  }
}
