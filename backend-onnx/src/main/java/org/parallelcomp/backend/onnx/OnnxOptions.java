package org.parallelcomp.backend.onnx;

import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.error.Names;
import org.parallelcomp.backend.onnx.runtime.OrtLibrary;
import org.parallelcomp.backend.onnx.runtime.OrtSettings;
import org.parallelcomp.backend.onnx.runtime.Providers;

/**
 * The backend's settings.
 *
 * @param precision what weights and activations are multiplied as
 * @param sessions how sessions are made
 * @param export the folder to which every graph is written, or null for none
 */
record OnnxOptions(Precision precision, OrtSettings sessions, @Nullable String export) {
  private static final String PROVIDER = "provider";
  private static final String PRECISION = "precision";
  private static final String OPTIMIZATION = "optimization";
  private static final String PROFILE = "profile";
  private static final String EXPORT = "export";

  /** Begins the name of an option that is passed on to the execution provider. */
  private static final String OF_PROVIDER = "provider.";

  private static final List<String> NAMES =
      List.of(PROVIDER, PRECISION, OPTIMIZATION, PROFILE, EXPORT, OF_PROVIDER + "<its option>");

  /** Reads what a user gave; refuses what cannot be meant. */
  static OnnxOptions parse(Map<String, String> given) {
    var ofProvider = new TreeMap<String, String>();
    for (Map.Entry<String, String> option : given.entrySet()) {
      if (option.getKey().startsWith(OF_PROVIDER)) {
        ofProvider.put(option.getKey().substring(OF_PROVIDER.length()), option.getValue());
      } else if (!NAMES.contains(option.getKey())) {
        throw Names.unknown(
            "option of the backend " + OnnxBackendProvider.ID, option.getKey(), NAMES);
      }
    }
    String provider = oneOf(PROVIDER, given.getOrDefault(PROVIDER, "cpu"), Providers.names());
    String precision =
        oneOf(
            PRECISION, given.getOrDefault(PRECISION, Precision.DEFAULT.word()), Precision.words());
    String optimization =
        oneOf(
            OPTIMIZATION,
            given.getOrDefault(OPTIMIZATION, "all"),
            List.of("none", "basic", "extended", "all"));
    return new OnnxOptions(
        Precision.valueOf(precision.toUpperCase(Locale.ROOT)),
        new OrtSettings(provider, ofProvider, optimization, given.get(PROFILE)),
        given.get(EXPORT));
  }

  private static String oneOf(String option, String value, List<String> words) {
    if (!words.contains(value)) {
      throw new InferenceException(
          ErrorCode.INVALID_ARGUMENT,
          "The option "
              + option
              + " must be one of "
              + String.join(", ", words)
              + ", not '"
              + value
              + "'.");
    }
    return value;
  }

  /** Refuses a provider that the library lacks, with what to add. */
  void requireProvider(OrtLibrary library) {
    List<String> available = Providers.available(library);
    if (!available.contains(sessions.provider())) {
      throw new InferenceException(
          ErrorCode.BACKEND_UNAVAILABLE,
          "This build of ONNX Runtime has the execution providers "
              + String.join(", ", available)
              + ", not "
              + sessions.provider()
              + "; add "
              + Providers.source(sessions.provider())
              + ".");
    }
  }
}
