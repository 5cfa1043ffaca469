package org.parallelcomp.core.policies.score;

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
    return asked == 0 || evidence.queryTokens() == 0
        ? asked
        : Math.min(asked, evidence.queryTokens());
  }
}
