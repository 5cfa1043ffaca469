package org.parallelcomp.backend.cuda;

import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.parallelcomp.api.backend.BackendConfig;
import org.parallelcomp.api.backend.BackendTraits;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.error.Names;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.backend.cuda.ffi.CudaDevice;

/**
 * The options of the backend.
 *
 * @param deviceOrdinal the device's number as the driver lists it, or -1 for the first usable one
 * @param traits the type of caches and the tokens of a block, as {@code cache} and {@code
 *     block-tokens} say
 */
record CudaOptions(int deviceOrdinal, BackendTraits traits) {
  private static final String CACHE = "cache";
  private static final String BLOCK_TOKENS = "block-tokens";
  private static final List<String> NAMES = List.of(BackendConfig.DEVICE, CACHE, BLOCK_TOKENS);

  private static final Map<String, DType> CACHE_TYPES =
      Map.of("bf16", DType.BF16, "f16", DType.F16, "f32", DType.F32);

  /**
   * So many that a chunk of 8192 tokens and the question behind it are one block, which takes less
   * time and memory than a block of few rows that reads all weights once more.
   */
  private static final String DEFAULT_BLOCK_TOKENS = "8704";

  /** Reads them; touches nothing native. */
  static CudaOptions of(BackendConfig config) {
    Map<String, String> options = config.options();
    for (String option : options.keySet()) {
      if (!NAMES.contains(option)) {
        throw Names.unknown("option of the backend " + CudaBackendProvider.ID, option, NAMES);
      }
    }
    String device = options.get(BackendConfig.DEVICE);
    if (device != null && !device.matches("[0-9]{1,4}")) {
      throw invalid("The option device must be the number of a device, from 0 on, not", device);
    }
    String cache = options.getOrDefault(CACHE, "bf16");
    DType cacheType = CACHE_TYPES.get(cache.toLowerCase(Locale.ROOT));
    if (cacheType == null) {
      throw invalid("The option cache must be bf16, f16 or f32, not", cache);
    }
    String blockTokens = options.getOrDefault(BLOCK_TOKENS, DEFAULT_BLOCK_TOKENS);
    if (!blockTokens.matches("[1-9][0-9]{0,6}")) {
      throw invalid("The option block-tokens must be a number of tokens, not", blockTokens);
    }
    return new CudaOptions(
        device == null ? -1 : Integer.parseInt(device),
        new BackendTraits(cacheType, Integer.parseInt(blockTokens), true));
  }

  private static InferenceException invalid(String what, String value) {
    return new InferenceException(ErrorCode.INVALID_ARGUMENT, what + " '" + value + "'.");
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
