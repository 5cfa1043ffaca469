package org.parallelcomp.backend.cuda;

import org.parallelcomp.api.backend.Availability;

/** Conditions for tests that need more than a Java. */
final class OnDevice {
  private OnDevice() {}

  /** Returns whether the backend can be opened here. */
  static boolean usable() {
    return new CudaBackendProvider().probe() instanceof Availability.Usable;
  }
}
