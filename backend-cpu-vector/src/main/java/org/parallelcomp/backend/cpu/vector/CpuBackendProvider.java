package org.parallelcomp.backend.cpu.vector;

import java.util.List;
import org.parallelcomp.api.backend.Availability;
import org.parallelcomp.api.backend.Backend;
import org.parallelcomp.api.backend.BackendConfig;
import org.parallelcomp.api.backend.BackendProvider;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;

/**
 * Offers the CPU backend. Touches no class of the Vector API before {@link #probe()} has found it.
 */
public final class CpuBackendProvider implements BackendProvider {
  static final String ID = "cpu-vector";

  private static final String VECTOR_MODULE = "jdk.incubator.vector";

  /** Below what a backend on an accelerator should say of itself, above a reference's. */
  private static final int SCORE = 50;

  /** For the service loader. */
  public CpuBackendProvider() {}

  @Override
  public String id() {
    return ID;
  }

  @Override
  public String summary() {
    return "kernels on the processor's vectors (Java Vector API)";
  }

  @Override
  public Availability probe() {
    if (!vectorsReadable()) {
      return new Availability.Unusable(
          List.of(
              new Availability.Reason(
                  "the module " + VECTOR_MODULE + " is not there",
                  "start java with --add-modules " + VECTOR_MODULE)));
    }
    try {
      return new Availability.Usable(SCORE, CpuBackend.describe());
    } catch (IllegalArgumentException | LinkageError e) {
      return new Availability.Unusable(
          List.of(
              new Availability.Reason(
                  "the Vector API does not start: " + e,
                  "use a Java of version 25 or newer whose module "
                      + VECTOR_MODULE
                      + " fits it, and check the properties named parallelcomp.cpu.*")));
    }
  }

  @Override
  public Backend open(BackendConfig config) {
    if (!vectorsReadable()) {
      throw new InferenceException(
          ErrorCode.BACKEND_UNAVAILABLE,
          "The backend "
              + ID
              + " needs the module "
              + VECTOR_MODULE
              + "; start java with --add-modules "
              + VECTOR_MODULE
              + ".");
    }
    return CpuBackend.open(config);
  }

  private static boolean vectorsReadable() {
    return ModuleLayer.boot()
        .findModule(VECTOR_MODULE)
        .filter(CpuBackendProvider.class.getModule()::canRead)
        .isPresent();
  }
}
