package org.parallelcomp.core.policies.score;

import org.parallelcomp.api.policy.PolicyFactory;
import org.parallelcomp.api.policy.PolicyKind;
import org.parallelcomp.api.policy.TokenScorer;

/**
 * {@link WindowAttention} with the numbers that SnapKV was published with.
 *
 * <p>The last tokens of the prompt observe which keys it looks at; their attention is summed and
 * averaged over neighbours. SnapKV always keeps the observing tokens themselves: here they are the
 * question's, which stand behind the context and are never up for eviction, so that the whole
 * budget goes to the context.
 *
 * <p><i>Based on</i> SnapKV, <a href="https://arxiv.org/abs/2404.14469">arXiv 2404.14469</a>.
 *
 * <p>Parameters: {@code window} = 32 tokens; {@code pool} = 5 tokens; {@code pooling} = average, or
 * max, or none.
 *
 * <p><i>Differs from the paper in</i> one choice per kv head instead of one per query head, and in
 * that only tokens behind the context observe, even where they are fewer than the window.
 */
public final class SnapKv {
  /** Makes the policy {@code snapkv}. */
  public static final PolicyFactory<TokenScorer> FACTORY =
      new PolicyFactory<>(
          PolicyKind.TOKEN_SCORER,
          "snapkv",
          "The scores of SnapKV: window-attention with its published numbers.",
          "Attention of the last 32 queries behind the context, averaged over 5 neighbours. Based"
              + " on SnapKV (arXiv 2404.14469); differs in choosing per kv head, and in letting"
              + " only tokens behind the context observe.",
          WindowAttention.parameters(32, 5, "average", "max", "none"),
          WindowAttention::new);

  private SnapKv() {}
}
