package org.parallelcomp.api.policy;

import java.util.Set;
import org.parallelcomp.api.backend.TensorOps;
import org.parallelcomp.api.cache.TokenSelection;
import org.parallelcomp.api.evidence.Evidence;
import org.parallelcomp.api.evidence.LayerEvidence;

/** Evicts tokens whose attention is abnormally high, after the budget has been applied. */
public interface CalibrationPolicy {
  /** Returns the evidence that {@link #calibrate} reads in a layer; empty where it does nothing. */
  Set<Evidence> requires(int layer, int layers);

  /**
   * Optional. Returns how many of a pass' last tokens {@link #calibrate} looks at by attention mass
   * or window queries, 0 for all behind the context; the default is 0. The engine computes no more.
   */
  default int windowTokens() {
    return 0;
  }

  /** Returns a part of the current selection. */
  TokenSelection calibrate(LayerEvidence evidence, TokenSelection current, TensorOps ops);
}
