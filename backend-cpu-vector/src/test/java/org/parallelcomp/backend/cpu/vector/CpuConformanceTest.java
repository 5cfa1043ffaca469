package org.parallelcomp.backend.cpu.vector;

import org.parallelcomp.api.backend.BackendProvider;
import org.parallelcomp.conformance.BackendConformance;

/** The CPU backend keeps every rule of docs/spec/backend.md. */
class CpuConformanceTest extends BackendConformance {
  @Override
  protected BackendProvider provider() {
    return new CpuBackendProvider();
  }
}
