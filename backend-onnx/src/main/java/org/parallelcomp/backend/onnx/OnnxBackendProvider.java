package org.parallelcomp.backend.onnx;

import java.util.List;
import org.parallelcomp.api.backend.Availability;
import org.parallelcomp.api.backend.Backend;
import org.parallelcomp.api.backend.BackendConfig;
import org.parallelcomp.api.backend.BackendProvider;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.backend.onnx.runtime.OrtLibrary;
import org.parallelcomp.backend.onnx.runtime.Providers;

/** Offers the ONNX backend. Touches nothing native before {@link #probe()}. */
public final class OnnxBackendProvider implements BackendProvider {
  static final String ID = "onnx";

  /** Below the processor's own backend, which needs no native library. */
  private static final int SCORE = 40;

  /** For the service loader. */
  public OnnxBackendProvider() {}

  @Override
  public String id() {
    return ID;
  }

  @Override
  public String summary() {
    return "graphs for ONNX Runtime, on any of its execution providers";
  }

  @Override
  public Availability probe() {
    try {
      OrtLibrary library = OrtLibrary.load();
      return new Availability.Usable(
          SCORE,
          "ONNX Runtime "
              + library.version()
              + " from "
              + library.origin()
              + "; execution providers "
              + String.join(", ", Providers.available(library))
              + " (with other builds of the library also "
              + String.join(", ", Providers.missing(library))
              + "); products in f32, int8 (the default) or int4, whose losses stand in"
              + " docs/performance-onnx.md; F32 caches; without an operator and so in plain Java: "
              + OnnxTensorOps.IN_JAVA
              + ", "
              + "embedding, caches");
    } catch (InferenceException | LinkageError e) {
      return new Availability.Unusable(
          List.of(
              new Availability.Reason(
                  String.valueOf(e.getMessage()),
                  "add com.microsoft.onnxruntime:onnxruntime or set -D"
                      + OrtLibrary.PROPERTY
                      + "=FILE")));
    }
  }

  @Override
  public Backend open(BackendConfig config) {
    OnnxOptions options = OnnxOptions.parse(config.options());
    OrtLibrary library = OrtLibrary.load();
    options.requireProvider(library);
    return new OnnxBackend(library, options, config.threads());
  }
}
