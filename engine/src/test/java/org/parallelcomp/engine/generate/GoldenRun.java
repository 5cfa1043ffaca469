package org.parallelcomp.engine.generate;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.StringJoiner;
import org.parallelcomp.api.policy.Plan;
import org.parallelcomp.api.policy.PolicyKind;
import org.parallelcomp.api.policy.PolicySpec;
import org.parallelcomp.engine.PolicyCatalog;

/** The settings of a run of the reference implementations as a plan. */
final class GoldenRun {
  private GoldenRun() {}

  /**
   * @param settings tau, capacity, window, kernel, calibrate as the references' {@code merge} takes
   *     them
   * @param chunkTokens the references' {@code size}
   */
  static Plan plan(PolicyCatalog catalog, JsonNode settings, int chunkTokens) {
    Plan plan =
        catalog
            .preset("parallelcomp")
            .plan()
            .with(PolicyKind.CHUNKING, PolicySpec.of("even").with("tokens", chunkTokens))
            .with(
                PolicyKind.CHUNK_EVICTION,
                PolicySpec.of("best").with("chunks", settings.get("tau").asInt()))
            .with(
                PolicyKind.TOKEN_SCORER,
                PolicySpec.of("window-attention")
                    .with("window", settings.path("window").asInt(8))
                    .with("pool", settings.path("kernel").asInt(7))
                    .with("pooling", "max"));
    int capacity = settings.path("capacity").asInt(0);
    plan =
        plan.with(
            PolicyKind.BUDGET,
            capacity == 0
                ? PolicySpec.of("everything")
                : PolicySpec.of("tokens").with("keep", capacity));
    return settings.hasNonNull("calibrate")
        ? plan.with(PolicyKind.CALIBRATION, calibration(settings.get("calibrate")))
        : plan;
  }

  private static PolicySpec calibration(JsonNode ranges) {
    var text = new StringJoiner(";");
    for (JsonNode range : ranges) {
      text.add(
          (range.get(0).asInt() + 1)
              + "-"
              + (range.get(1).asInt() + 1)
              + ":"
              + range.get(2).asText()
              + ":"
              + range.get(3).asText());
    }
    return PolicySpec.of("attention-threshold")
        .with("ranges", text)
        .with("count-prefix", false)
        .with("heads", "mean");
  }
}
