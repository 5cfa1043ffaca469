package org.parallelcomp.api.policy;

import java.util.Set;
import org.parallelcomp.api.backend.TensorOps;
import org.parallelcomp.api.evidence.Evidence;
import org.parallelcomp.api.evidence.LayerEvidence;
import org.parallelcomp.api.tensor.Tensor;

/** Judges how much each token of a chunk's cache matters. Most policies are one of these. */
public interface TokenScorer {
  /** Returns the evidence that {@link #score} reads. */
  Set<Evidence> requires();

  /**
   * Optional. Returns how many of a pass' last tokens {@link #score} looks at by attention mass or
   * window queries: {@link LayerEvidence#WHOLE_PASS} for all of them. Asked only where one of the
   * two is required; the engine computes no more. The default is all behind the context.
   *
   * @param queryTokens how many tokens stand behind the context
   */
  default int windowTokens(int queryTokens) {
    return queryTokens;
  }

  /**
   * Returns the scores, {@code [kvHeads, contextTokens]}: the higher, the more a token should be
   * kept; NaN ranks lowest.
   */
  Tensor score(LayerEvidence evidence, TensorOps ops);
}
