package org.parallelcomp.core.policies.score;

import java.util.List;
import java.util.Set;
import org.parallelcomp.api.backend.TensorOps;
import org.parallelcomp.api.evidence.Evidence;
import org.parallelcomp.api.evidence.LayerEvidence;
import org.parallelcomp.api.policy.Parameter;
import org.parallelcomp.api.policy.Parameters;
import org.parallelcomp.api.policy.PolicyFactory;
import org.parallelcomp.api.policy.PolicyKind;
import org.parallelcomp.api.policy.TokenScorer;
import org.parallelcomp.api.tensor.Tensor;

/**
 * A token matters by the share that its key and value have in those of its neighbourhood.
 *
 * <p>The leverage of a row is approximated by its squared Euclidean norm, divided by the mean of
 * the squared norms in its window of the context. The score is the product of key and value
 * leverage, or one of them, or their mean; sinks always come first.
 *
 * <p><i>Based on</i> CurDKV, <a href="https://arxiv.org/abs/2509.15038">arXiv 2509.15038</a>.
 *
 * <p>Parameters: {@code leverage} = product, or key, or value, or average; {@code window} = 16
 * tokens (0: the whole context is one window); {@code sinks} = 4 tokens.
 *
 * <p><i>Differs from the paper in</i> dividing by the window's mean, so that the tokens of a
 * shorter last window are not favoured, and in having no random projection.
 */
public final class CurLeverage implements TokenScorer {
  /** Makes the policy {@code cur}. */
  public static final PolicyFactory<TokenScorer> FACTORY =
      new PolicyFactory<>(
          PolicyKind.TOKEN_SCORER,
          "cur",
          "A token matters by the share that its key and value have in those around it.",
          "Squared norms of key and value, each over the mean of its window, multiplied. Based on"
              + " CurDKV (arXiv 2509.15038); differs in dividing by the mean, so that a shorter last"
              + " window is not favoured, and in having no random projection.",
          List.of(
              Parameter.choice(
                  "leverage", "whose share counts", "product", "key", "value", "average"),
              Parameter.integer(
                  "window", 16, 0, "tokens", "neighbourhood of a token; 0 for the whole context"),
              Parameter.integer(
                  "sinks", 4, 0, "tokens", "first tokens of the sequence that always come first")),
          CurLeverage::new);

  private final String leverage;
  private final int window;
  private final int sinks;

  private CurLeverage(Parameters parameters) {
    this.leverage = parameters.text("leverage");
    this.window = parameters.integer("window");
    this.sinks = parameters.integer("sinks");
  }

  @Override
  public Set<Evidence> requires() {
    return switch (leverage) {
      case "key" -> Set.of(Evidence.KEYS);
      case "value" -> Set.of(Evidence.VALUES);
      default -> Set.of(Evidence.KEYS, Evidence.VALUES);
    };
  }

  @Override
  public Tensor score(LayerEvidence evidence, TensorOps ops) {
    Tensor scores =
        switch (leverage) {
          case "key" -> share(evidence.keys(), ops);
          case "value" -> share(evidence.values(), ops);
          case "average" -> ops.add(share(evidence.keys(), ops), share(evidence.values(), ops));
          default -> ops.multiply(share(evidence.keys(), ops), share(evidence.values(), ops));
        };
    return Protected.tokens(scores, Window.sinks(evidence, sinks), 0, ops);
  }

  /** Squared norms over the mean of their window, {@code [kvHeads, contextTokens]}. */
  private Tensor share(Tensor vectors, TensorOps ops) {
    Tensor squares = ops.sum(ops.multiply(vectors, vectors), -1);
    return ops.divide(squares, Blocks.means(squares, window, ops));
  }
}
