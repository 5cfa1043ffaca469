package org.parallelcomp.backend.cuda;

import org.junit.jupiter.api.condition.EnabledIf;
import org.parallelcomp.api.backend.BackendProvider;
import org.parallelcomp.conformance.BackendConformance;

/** The kit, where there is a device. */
@EnabledIf(
    value = "org.parallelcomp.backend.cuda.OnDevice#usable",
    disabledReason = "no usable CUDA device here")
class CudaConformanceTest extends BackendConformance {
  @Override
  protected BackendProvider provider() {
    return new CudaBackendProvider();
  }
}
