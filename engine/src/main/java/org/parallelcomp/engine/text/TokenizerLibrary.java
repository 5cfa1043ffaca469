package org.parallelcomp.engine.text;

import ai.djl.huggingface.tokenizers.jni.LibUtils;
import ai.djl.huggingface.tokenizers.jni.TokenizersLibrary;
import java.util.Map;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;

/**
 * Loads the native tokenizers library out of DJL's jar, where it is unpacked once to {@code
 * ~/.djl.ai/tokenizers} (or below {@code DJL_CACHE_DIR}, an environment variable or system
 * property; below the folder for temporary files where the home cannot be written).
 */
final class TokenizerLibrary {
  /** Keeps DJL from looking for a GPU build of the tokenizer and from going online for one. */
  private static final Map<String, String> SETTINGS =
      Map.of("RUST_FLAVOR", "cpu", "ai.djl.offline", "true");

  private TokenizerLibrary() {}

  static synchronized TokenizersLibrary load() {
    for (String name : SETTINGS.keySet()) {
      if (System.getProperty(name) == null) {
        System.setProperty(name, SETTINGS.get(name));
      }
    }
    try {
      LibUtils.checkStatus();
      return TokenizersLibrary.LIB;
    } catch (RuntimeException | LinkageError e) {
      for (Throwable cause = e; cause != null; cause = cause.getCause()) {
        if (cause.toString().contains(IllegalCallerException.class.getName())) {
          throw deniedNativeAccess(e);
        }
      }
      throw new InferenceException(
          ErrorCode.DEVICE_FAILURE,
          "The native tokenizers library cannot be loaded here ("
              + System.getProperty("os.name")
              + ", "
              + System.getProperty("os.arch")
              + ": "
              + e.getMessage()
              + ").",
          e);
    }
  }

  /** Java was told to refuse what it would only warn of. */
  private static InferenceException deniedNativeAccess(Throwable failure) {
    String modules =
        LibUtils.class.getModule().isNamed()
            ? "ai.djl.tokenizers,ai.djl.api,com.sun.jna"
            : "ALL-UNNAMED";
    return new InferenceException(
        ErrorCode.DEVICE_FAILURE,
        "The native tokenizers library may not be loaded; start java with --enable-native-access="
            + modules
            + ".",
        failure);
  }
}
