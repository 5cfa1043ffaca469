package org.parallelcomp.core.policies.select;

import java.util.List;
import java.util.Set;
import org.parallelcomp.api.backend.TensorOps;
import org.parallelcomp.api.cache.TokenSelection;
import org.parallelcomp.api.evidence.Evidence;
import org.parallelcomp.api.evidence.LayerEvidence;
import org.parallelcomp.api.policy.Parameter;
import org.parallelcomp.api.policy.Parameters;
import org.parallelcomp.api.policy.PolicyFactory;
import org.parallelcomp.api.policy.PolicyKind;
import org.parallelcomp.api.policy.Selector;
import org.parallelcomp.api.tensor.Tensor;
import org.parallelcomp.core.policies.score.Protected;

/**
 * The first and the last tokens always stay; another selector chooses among the others.
 *
 * <p>Their scores are raised above all others before the other selector sees them. They count
 * against the budget; where it is too small for them, sinks come first, then the latest of the
 * recent ones.
 *
 * <p><i>Based on</i> StreamingLLM, <a href="https://arxiv.org/abs/2309.17453">arXiv 2309.17453</a>,
 * and H2O, <a href="https://arxiv.org/abs/2306.14048">arXiv 2306.14048</a>.
 *
 * <p>Parameters: {@code sinks} = 4 tokens; {@code recent} = 32 tokens; {@code selector} = top-k.
 */
public final class ProtectedSelector implements Selector {
  /** Makes the policy {@code protected}. */
  public static final PolicyFactory<Selector> FACTORY =
      new PolicyFactory<>(
          PolicyKind.SELECTOR,
          "protected",
          "The first and the last tokens always stay; another selector chooses among the others.",
          "Protected tokens count against the budget and survive ties and NaN. Based on StreamingLLM"
              + " (arXiv 2309.17453) and H2O (arXiv 2306.14048).",
          List.of(
              Parameter.integer(
                  "sinks", 4, 0, "tokens", "tokens at the beginning that always stay"),
              Parameter.integer("recent", 32, 0, "tokens", "tokens at the end that always stay"),
              Parameter.policy(
                  "selector", PolicyKind.SELECTOR, "top-k", "what chooses among the others")),
          ProtectedSelector::new);

  private final int sinks;
  private final int recent;
  private final Selector selector;

  private ProtectedSelector(Parameters parameters) {
    this.sinks = parameters.integer("sinks");
    this.recent = parameters.integer("recent");
    this.selector = parameters.policy("selector", Selector.class);
  }

  @Override
  public Set<Evidence> requires() {
    return selector.requires();
  }

  @Override
  public int windowTokens(int queryTokens) {
    return selector.windowTokens(queryTokens);
  }

  @Override
  public TokenSelection select(
      Tensor scores, int keptTokens, LayerEvidence evidence, TensorOps ops) {
    return selector.select(Protected.tokens(scores, sinks, recent, ops), keptTokens, evidence, ops);
  }
}
