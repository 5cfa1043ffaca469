package org.parallelcomp.core.policies.score;

import java.util.List;
import java.util.Set;
import org.parallelcomp.api.backend.TensorOps;
import org.parallelcomp.api.evidence.Evidence;
import org.parallelcomp.api.evidence.LayerEvidence;
import org.parallelcomp.api.policy.PolicyFactory;
import org.parallelcomp.api.policy.PolicyKind;
import org.parallelcomp.api.policy.TokenScorer;
import org.parallelcomp.api.tensor.Tensor;

/**
 * A token matters the more, the shorter its key.
 *
 * <p>The score is the negative Euclidean norm of the key. Short keys were found to receive high
 * attention, whatever the query, so no attention has to be observed.
 *
 * <p><i>Based on</i> L2 norm compression, <a href="https://arxiv.org/abs/2406.11430">arXiv
 * 2406.11430</a>.
 *
 * <p>Parameters: none.
 *
 * <p><i>Differs from the paper in</i> acting on every layer; the paper spares the first two.
 */
public final class KeyNorm implements TokenScorer {
  /** Makes the policy {@code key-norm}. */
  public static final PolicyFactory<TokenScorer> FACTORY =
      new PolicyFactory<>(
          PolicyKind.TOKEN_SCORER,
          "key-norm",
          "A token matters the more, the shorter its key.",
          "Negative Euclidean norm of the key. Based on L2 norm compression (arXiv 2406.11430);"
              + " differs in acting on every layer.",
          List.of(),
          p -> new KeyNorm());

  private KeyNorm() {}

  @Override
  public Set<Evidence> requires() {
    return Set.of(Evidence.KEYS);
  }

  @Override
  public Tensor score(LayerEvidence evidence, TensorOps ops) {
    return ops.affine(ops.l2Norm(evidence.keys(), -1), -1, 0);
  }
}
