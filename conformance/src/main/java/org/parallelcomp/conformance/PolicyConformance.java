package org.parallelcomp.conformance;

import java.util.List;
import org.junit.jupiter.api.Nested;
import org.parallelcomp.api.policy.PolicyProvider;

/**
 * The whole test of a provider of policies: a subclass that names it. Every policy is tried with
 * its defaults, with each parameter at the ends of its range, and as the presets set it, on seeded
 * evidence. The rules are those of docs/spec/policy.md, by number.
 *
 * <pre>
 * class MyPoliciesTest extends PolicyConformance {
 *   &#64;Override
 *   protected PolicyProvider provider() {
 *     return new MyPolicies();
 *   }
 * }
 * </pre>
 */
public abstract class PolicyConformance {
  /** For subclasses. */
  protected PolicyConformance() {}

  /** Returns the provider to be tested. */
  protected abstract PolicyProvider provider();

  /**
   * Optional. Returns other providers whose policies presets and parameters of the tested one name;
   * none by default.
   */
  protected List<PolicyProvider> others() {
    return List.of();
  }

  /** What holds for a policy of any kind, and for presets. */
  @Nested
  class AnyPolicy extends AnyPolicyRules {
    @Override
    PolicyConformance kit() {
      return PolicyConformance.this;
    }
  }

  /** Where the text is cut. */
  @Nested
  class Chunking extends ChunkingRules {
    @Override
    PolicyConformance kit() {
      return PolicyConformance.this;
    }
  }

  /** What a chunk is worth. */
  @Nested
  class ChunkScoring extends ChunkScoringRules {
    @Override
    PolicyConformance kit() {
      return PolicyConformance.this;
    }
  }

  /** Which chunks stay. */
  @Nested
  class ChunkEviction extends ChunkEvictionRules {
    @Override
    PolicyConformance kit() {
      return PolicyConformance.this;
    }
  }

  /** How many tokens stay. */
  @Nested
  class Budget extends BudgetRules {
    @Override
    PolicyConformance kit() {
      return PolicyConformance.this;
    }
  }

  /** What a token is worth. */
  @Nested
  class TokenScoring extends TokenScoringRules {
    @Override
    PolicyConformance kit() {
      return PolicyConformance.this;
    }
  }

  /** Which tokens stay. */
  @Nested
  class Selection extends SelectionRules {
    @Override
    PolicyConformance kit() {
      return PolicyConformance.this;
    }
  }

  /** Which of them go for their attention. */
  @Nested
  class Calibration extends CalibrationRules {
    @Override
    PolicyConformance kit() {
      return PolicyConformance.this;
    }
  }
}
