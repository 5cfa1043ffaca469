package org.parallelcomp.api.policy;

import java.util.Optional;
import java.util.Set;
import org.parallelcomp.api.backend.TensorOps;
import org.parallelcomp.api.cache.TokenSelection;
import org.parallelcomp.api.evidence.Evidence;
import org.parallelcomp.api.evidence.LayerEvidence;

/**
 * Deals with keys whose attention is abnormally high: evicts them after the budget has been
 * applied, or leaves them and changes what their attention weighs.
 */
public interface CalibrationPolicy {
  /** Returns the evidence that {@link #calibrate} reads in a layer; empty where it does nothing. */
  Set<Evidence> requires(int layer, int layers);

  /**
   * Optional. Returns how many of a pass' last tokens {@link #calibrate} looks at by attention mass
   * or window queries: {@link LayerEvidence#WHOLE_PASS} for all of them. Asked only where one of
   * the two is required; the engine computes no more. The default is all behind the context.
   *
   * @param queryTokens how many tokens stand behind the context
   */
  default int windowTokens(int queryTokens) {
    return queryTokens;
  }

  /**
   * Optional. Returns how the attention of question and answer is weighed anew in a layer; the
   * default is empty, which leaves it as it is.
   */
  default Optional<SinkReweighting> reweighting(int layer, int layers) {
    return Optional.empty();
  }

  /** Returns a part of the current selection. */
  TokenSelection calibrate(LayerEvidence evidence, TokenSelection current, TensorOps ops);
}
