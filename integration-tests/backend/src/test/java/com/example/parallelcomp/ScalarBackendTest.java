package com.example.parallelcomp;

import org.parallelcomp.api.backend.BackendProvider;
import org.parallelcomp.conformance.BackendConformance;

/** Every rule of docs/spec/backend.md. */
class ScalarBackendTest extends BackendConformance {
  @Override
  protected BackendProvider provider() {
    return new ScalarBackendProvider();
  }
}
