package org.parallelcomp.backend.cuda;

import java.util.List;
import org.parallelcomp.api.backend.BackendConfig;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.error.Names;
import org.parallelcomp.backend.cuda.ffi.CudaDevice;

/**
 * The options of the backend.
 *
 * @param deviceOrdinal the device's number as the driver lists it, or -1 for the first usable one
 */
record CudaOptions(int deviceOrdinal) {
  private static final String DEVICE = "device";
  private static final List<String> NAMES = List.of(DEVICE);

  /** Reads them; touches nothing native. */
  static CudaOptions of(BackendConfig config) {
    for (String option : config.options().keySet()) {
      if (!NAMES.contains(option)) {
        throw Names.unknown("option of the backend " + CudaBackendProvider.ID, option, NAMES);
      }
    }
    String device = config.options().get(DEVICE);
    if (device == null) {
      return new CudaOptions(-1);
    }
    if (!device.matches("[0-9]{1,4}")) {
      throw new InferenceException(
          ErrorCode.INVALID_ARGUMENT,
          "The option device must be the number of a device, from 0 on, not '" + device + "'.");
    }
    return new CudaOptions(Integer.parseInt(device));
  }

  /** Returns the device that is meant. */
  CudaDevice device(List<CudaDevice> devices) {
    return devices.stream()
        .filter(d -> deviceOrdinal < 0 || d.ordinal() == deviceOrdinal)
        .filter(CudaInstallation::isUsable)
        .findFirst()
        .orElseThrow(
            () ->
                new InferenceException(
                    ErrorCode.INVALID_ARGUMENT,
                    "There is no usable device "
                        + deviceOrdinal
                        + "; there are "
                        + devices.stream().map(CudaInstallation::describe).toList()
                        + "."));
  }
}
