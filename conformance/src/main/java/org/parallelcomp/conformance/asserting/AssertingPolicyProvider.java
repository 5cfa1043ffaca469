package org.parallelcomp.conformance.asserting;

import java.util.List;
import org.parallelcomp.api.policy.BudgetAllocator;
import org.parallelcomp.api.policy.CalibrationPolicy;
import org.parallelcomp.api.policy.ChunkEvictionPolicy;
import org.parallelcomp.api.policy.ChunkScorer;
import org.parallelcomp.api.policy.ChunkingPolicy;
import org.parallelcomp.api.policy.PolicyFactory;
import org.parallelcomp.api.policy.PolicyProvider;
import org.parallelcomp.api.policy.Preset;
import org.parallelcomp.api.policy.Selector;
import org.parallelcomp.api.policy.TokenScorer;

/**
 * A provider in place of another: every policy that it makes checks at every call that it keeps the
 * rules of docs/spec/policy.md, and throws an {@link AssertionError} where it does not.
 *
 * <p>Checked are: chunks that cover the text and fit, evidence declared before it is read and not
 * read later, chunks evicted once, budgets in range, one score for each head and token, selections
 * of exactly the budget, calibrations that only take.
 */
public class AssertingPolicyProvider implements PolicyProvider {
  private final PolicyProvider real;

  /** Creates a provider that stands before another. */
  public AssertingPolicyProvider(PolicyProvider real) {
    this.real = real;
  }

  /** Returns the provider behind this one. */
  public final PolicyProvider real() {
    return real;
  }

  @Override
  public final List<PolicyFactory<?>> policies() {
    return real.policies().stream().<PolicyFactory<?>>map(this::asserting).toList();
  }

  @Override
  public final List<Preset> presets() {
    return real.presets();
  }

  private PolicyFactory<Object> asserting(PolicyFactory<?> factory) {
    return new PolicyFactory<>(
        factory.kind(),
        factory.name(),
        factory.summary(),
        factory.description(),
        factory.parameters(),
        parameters -> asserting(factory.name(), factory.constructor().apply(parameters)));
  }

  private static Object asserting(String name, Object policy) {
    return switch (policy) {
      case ChunkingPolicy chunking -> AssertingPolicies.chunking(name, chunking);
      case ChunkScorer scorer -> AssertingPolicies.chunkScorer(scorer);
      case ChunkEvictionPolicy eviction -> AssertingPolicies.chunkEviction(name, eviction);
      case BudgetAllocator budget -> AssertingPolicies.budget(name, budget);
      case TokenScorer scorer -> AssertingPolicies.tokenScorer(name, scorer);
      case Selector selector -> AssertingPolicies.selector(name, selector);
      case CalibrationPolicy calibration -> AssertingPolicies.calibration(name, calibration);
      // Plain data: merges and schedules.
      default -> policy;
    };
  }
}
