package org.parallelcomp.backend.onnx;

import java.util.HashMap;
import java.util.Map;
import org.parallelcomp.api.backend.Availability;
import org.parallelcomp.api.backend.Backend;
import org.parallelcomp.api.backend.BackendConfig;
import org.parallelcomp.api.backend.BackendProvider;
import org.parallelcomp.conformance.BackendConformance;

/** The conformance kit in single precision, which is what the oracle can be compared with. */
class OnnxConformanceTest extends BackendConformance {
  @Override
  protected BackendProvider provider() {
    return new InSinglePrecision();
  }

  private static final class InSinglePrecision implements BackendProvider {
    private final BackendProvider provider = new OnnxBackendProvider();

    @Override
    public String id() {
      return provider.id();
    }

    @Override
    public String summary() {
      return provider.summary();
    }

    @Override
    public Availability probe() {
      return provider.probe();
    }

    @Override
    public Backend open(BackendConfig config) {
      var options = new HashMap<>(Map.of("precision", "f32"));
      options.putAll(config.options());
      return provider.open(new BackendConfig(config.threads(), options));
    }
  }
}
