package org.parallelcomp.backend.cuda;

import org.parallelcomp.api.backend.Availability;
import org.parallelcomp.api.backend.Backend;
import org.parallelcomp.api.backend.BackendConfig;
import org.parallelcomp.api.backend.BackendProvider;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;

/** Offers the CUDA backend. Touches nothing native before {@link #probe()}. */
public final class CudaBackendProvider implements BackendProvider {
  static final String ID = "cuda-ffm";

  /** For the service loader. */
  public CudaBackendProvider() {}

  @Override
  public String id() {
    return ID;
  }

  @Override
  public String summary() {
    return "NVIDIA devices (CUDA through Java's foreign functions)";
  }

  @Override
  public Availability probe() {
    return CudaInstallation.inspect().availability();
  }

  @Override
  public Backend open(BackendConfig config) {
    CudaOptions options = CudaOptions.of(config);
    CudaInstallation installation = CudaInstallation.inspect();
    if (installation.availability() instanceof Availability.Unusable unusable) {
      throw new InferenceException(
          ErrorCode.BACKEND_UNAVAILABLE,
          "The backend "
              + ID
              + " cannot be opened: "
              + String.join("; ", unusable.reasons().stream().map(r -> r.cause()).toList())
              + ".");
    }
    return CudaBackend.open(installation, options.device(installation.devices()), options.traits());
  }
}
