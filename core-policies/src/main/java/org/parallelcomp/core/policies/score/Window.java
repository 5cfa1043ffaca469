package org.parallelcomp.core.policies.score;

import java.util.Set;
import org.parallelcomp.api.evidence.Evidence;
import org.parallelcomp.api.evidence.LayerEvidence;

/** The observation window: which of the last queries of a pass look back at the chunk. */
public final class Window {
  private Window() {}

  /**
   * Returns how many queries look, as {@link LayerEvidence#attentionMass} takes it: those behind
   * the context, and of them no more than asked for. Where nothing stands behind the context, its
   * own last tokens look, as in SnapKV.
   *
   * @param asked how many are asked for; 0 for all behind the context
   */
  public static int queries(LayerEvidence evidence, int asked) {
    if (evidence.queryTokens() == 0) {
      return ownTokens(evidence, asked);
    }
    return asked == 0 ? 0 : Math.min(asked, evidence.queryTokens());
  }

  /**
   * Returns how many of the context's own last tokens look: none, unless nothing stands behind the
   * context. They are not judged by what they give one another, and always stay.
   *
   * @param asked how many are asked for; 0 for all behind the context
   */
  static int ownTokens(LayerEvidence evidence, int asked) {
    return evidence.queryTokens() > 0 ? 0 : Math.min(Math.max(1, asked), evidence.contextTokens());
  }

  /**
   * Returns how many of the sequence's first tokens belong to the context. Those that belong to the
   * prefix stay anyhow.
   */
  static int sinks(LayerEvidence evidence, int asked) {
    return Math.clamp((long) asked - evidence.prefixTokens(), 0, evidence.contextTokens());
  }

  /** Returns whether queries of a window are among what a policy requires. */
  public static boolean isRequired(Set<Evidence> required) {
    return required.contains(Evidence.ATTENTION_MASS) || required.contains(Evidence.WINDOW_QUERIES);
  }
}
