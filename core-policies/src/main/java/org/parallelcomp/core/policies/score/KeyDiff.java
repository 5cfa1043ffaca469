package org.parallelcomp.core.policies.score;

import java.util.List;
import java.util.Set;
import org.parallelcomp.api.backend.TensorOps;
import org.parallelcomp.api.evidence.Evidence;
import org.parallelcomp.api.evidence.LayerEvidence;
import org.parallelcomp.api.policy.PolicyFactory;
import org.parallelcomp.api.policy.PolicyKind;
import org.parallelcomp.api.policy.TokenScorer;
import org.parallelcomp.api.tensor.Shape;
import org.parallelcomp.api.tensor.Tensor;

/**
 * A token matters the more, the more its key differs from the others.
 *
 * <p>The anchor of a kv head is the mean of its keys, each of length 1. The score is the negative
 * cosine between key and anchor. No query is observed.
 *
 * <p><i>Based on</i> KeyDiff, <a href="https://arxiv.org/abs/2504.15364">arXiv 2504.15364</a>.
 *
 * <p>Parameters: none.
 *
 * <p><i>Differs from the paper in</i> nothing.
 */
public final class KeyDiff implements TokenScorer {
  /** Makes the policy {@code key-diff}. */
  public static final PolicyFactory<TokenScorer> FACTORY =
      new PolicyFactory<>(
          PolicyKind.TOKEN_SCORER,
          "key-diff",
          "A token matters the more, the more its key differs from the others.",
          "Negative cosine between the key and the mean of all keys of length 1. Based on KeyDiff"
              + " (arXiv 2504.15364).",
          List.of(),
          p -> new KeyDiff());

  private KeyDiff() {}

  @Override
  public Set<Evidence> requires() {
    return Set.of(Evidence.KEYS);
  }

  @Override
  public Tensor score(LayerEvidence evidence, TensorOps ops) {
    Tensor keys = Scores.unit(evidence.keys(), ops);
    Tensor anchor = Scores.unit(ops.mean(keys, 1), ops);
    Tensor cosine = ops.matmul(keys, Scores.columns(anchor));
    return ops.affine(
        cosine.reshape(Shape.of(evidence.kvHeads(), evidence.contextTokens())), -1, 0);
  }
}
