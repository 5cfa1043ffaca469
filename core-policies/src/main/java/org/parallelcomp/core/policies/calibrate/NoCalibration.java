package org.parallelcomp.core.policies.calibrate;

import java.util.List;
import java.util.Set;
import org.parallelcomp.api.backend.TensorOps;
import org.parallelcomp.api.cache.TokenSelection;
import org.parallelcomp.api.evidence.Evidence;
import org.parallelcomp.api.evidence.LayerEvidence;
import org.parallelcomp.api.policy.CalibrationPolicy;
import org.parallelcomp.api.policy.PolicyFactory;
import org.parallelcomp.api.policy.PolicyKind;

/**
 * Keeps all that the budget kept.
 *
 * <p>The selection is returned as it is and nothing is observed.
 *
 * <p><i>Based on</i> no paper.
 *
 * <p>Parameters: none.
 */
public final class NoCalibration implements CalibrationPolicy {
  /** Makes the policy {@code none}. */
  public static final PolicyFactory<CalibrationPolicy> FACTORY =
      new PolicyFactory<>(
          PolicyKind.CALIBRATION,
          "none",
          "Keeps all that the budget kept.",
          "Nothing is observed and nothing given up. No paper.",
          List.of(),
          p -> new NoCalibration());

  private NoCalibration() {}

  @Override
  public Set<Evidence> requires(int layer, int layers) {
    return Set.of();
  }

  @Override
  public TokenSelection calibrate(LayerEvidence evidence, TokenSelection current, TensorOps ops) {
    return current;
  }
}
