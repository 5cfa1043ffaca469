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
    PolicyProvider provider() {
      return PolicyConformance.this.provider();
    }

    @Override
    List<PolicyProvider> others() {
      return PolicyConformance.this.others();
    }
  }

  /** Where the text is cut. */
  @Nested
  class Chunking extends ChunkingRules {
    @Override
    PolicyProvider provider() {
      return PolicyConformance.this.provider();
    }

    @Override
    List<PolicyProvider> others() {
      return PolicyConformance.this.others();
    }
  }

  /** What a chunk is worth. */
  @Nested
  class ChunkScoring extends ChunkScoringRules {
    @Override
    PolicyProvider provider() {
      return PolicyConformance.this.provider();
    }

    @Override
    List<PolicyProvider> others() {
      return PolicyConformance.this.others();
    }
  }

  /** Which chunks stay. */
  @Nested
  class ChunkEviction extends ChunkEvictionRules {
    @Override
    PolicyProvider provider() {
      return PolicyConformance.this.provider();
    }

    @Override
    List<PolicyProvider> others() {
      return PolicyConformance.this.others();
    }
  }

  /** How many tokens stay. */
  @Nested
  class Budget extends BudgetRules {
    @Override
    PolicyProvider provider() {
      return PolicyConformance.this.provider();
    }

    @Override
    List<PolicyProvider> others() {
      return PolicyConformance.this.others();
    }
  }

  /** What a token is worth. */
  @Nested
  class TokenScoring extends TokenScoringRules {
    @Override
    PolicyProvider provider() {
      return PolicyConformance.this.provider();
    }

    @Override
    List<PolicyProvider> others() {
      return PolicyConformance.this.others();
    }
  }

  /** Which tokens stay. */
  @Nested
  class Selection extends SelectionRules {
    @Override
    PolicyProvider provider() {
      return PolicyConformance.this.provider();
    }

    @Override
    List<PolicyProvider> others() {
      return PolicyConformance.this.others();
    }
  }

  /** Which of them go for their attention. */
  @Nested
  class Calibration extends CalibrationRules {
    @Override
    PolicyProvider provider() {
      return PolicyConformance.this.provider();
    }

    @Override
    List<PolicyProvider> others() {
      return PolicyConformance.this.others();
    }
  }
}
