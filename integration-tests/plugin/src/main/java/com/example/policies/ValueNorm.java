package com.example.policies;

import java.util.List;
import java.util.Set;
import org.parallelcomp.api.backend.TensorOps;
import org.parallelcomp.api.evidence.Evidence;
import org.parallelcomp.api.evidence.LayerEvidence;
import org.parallelcomp.api.policy.Parameter;
import org.parallelcomp.api.policy.PolicyFactory;
import org.parallelcomp.api.policy.PolicyKind;
import org.parallelcomp.api.policy.PolicyProvider;
import org.parallelcomp.api.policy.TokenScorer;
import org.parallelcomp.api.tensor.Tensor;

/**
 * A token matters as much as its value is long, smoothed over its neighbours.
 *
 * @param pool width of the neighbourhood in tokens, odd
 */
public record ValueNorm(int pool) implements TokenScorer {
  static final PolicyFactory<TokenScorer> FACTORY =
      new PolicyFactory<>(
          PolicyKind.TOKEN_SCORER,
          "value-norm",
          "A token matters as much as its value is long.",
          "The Euclidean norm of each value, its maximum over a neighbourhood. No paper.",
          List.of(Parameter.integer("pool", 5, 1, "tokens", "width of the neighbourhood, odd")),
          p -> new ValueNorm(p.integer("pool")));

  @Override
  public Set<Evidence> requires() {
    return Set.of(Evidence.VALUES);
  }

  @Override
  public Tensor score(LayerEvidence evidence, TensorOps ops) {
    return ops.maxPool1d(ops.l2Norm(evidence.values(), -1), pool);
  }

  /** Offers the policy. */
  public static final class Provider implements PolicyProvider {
    @Override
    public List<PolicyFactory<?>> policies() {
      return List.of(FACTORY);
    }
  }
}
