package org.parallelcomp.engine.generate;

import java.util.Arrays;
import java.util.EnumSet;
import java.util.Set;
import org.parallelcomp.api.backend.TensorOps;
import org.parallelcomp.api.cache.TokenSelection;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.evidence.Evidence;
import org.parallelcomp.api.evidence.LayerEvidence;
import org.parallelcomp.api.policy.BudgetRequest;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.engine.load.ModelConfig;

/** Budget, scorer, selector and calibration of a plan as one decision per layer. */
final class TokenEviction {
  private final Policies policies;
  private final ModelConfig config;
  private final int keptChunks;

  /**
   * @param keptChunks the most chunks that share the budget
   */
  TokenEviction(Policies policies, ModelConfig config, int keptChunks) {
    this.policies = policies;
    this.config = config;
    this.keptChunks = keptChunks;
  }

  /** Returns how many tokens of so many a layer may keep per kv head. */
  int keptTokens(int layer, int contextTokens) {
    long tokenBytes = 2 * DType.F32.bytes(config.headDim());
    int kept =
        policies
            .budget()
            .keptTokens(
                new BudgetRequest(
                    layer,
                    config.layers(),
                    config.kvHeads(),
                    contextTokens,
                    tokenBytes,
                    keptChunks));
    if (kept < 0 || kept > contextTokens) {
      throw new InferenceException(
          ErrorCode.INTERNAL,
          "The budget policy wants to keep " + kept + " of " + contextTokens + " tokens.");
    }
    return kept;
  }

  /** Returns the evidence that the decision of a layer reads; empty where everything stays. */
  Set<Evidence> requires(int layer, int contextTokens) {
    Set<Evidence> required = EnumSet.noneOf(Evidence.class);
    if (keptTokens(layer, contextTokens) < contextTokens) {
      required.addAll(policies.tokenScorer().requires());
    }
    required.addAll(policies.calibration().requires(layer, config.layers()));
    return required;
  }

  /** Returns whether any layer may lose tokens of a context of this length. */
  boolean evictsAnywhere(int contextTokens) {
    for (int layer = 0; layer < config.layers(); layer++) {
      if (keptTokens(layer, contextTokens) < contextTokens
          || !policies.calibration().requires(layer, config.layers()).isEmpty()) {
        return true;
      }
    }
    return false;
  }

  /**
   * Returns how many of a pass' last tokens the decisions look at.
   *
   * @param queryTokens tokens behind the context
   */
  int windowTokens(int queryTokens, int contextTokens) {
    int window = 0;
    for (int layer = 0; layer < config.layers(); layer++) {
      if (looksAtQueries(requires(layer, contextTokens))) {
        window = Math.max(window, orAll(policies.tokenScorer().windowTokens(), queryTokens));
        window = Math.max(window, orAll(policies.calibration().windowTokens(), queryTokens));
      }
    }
    return window;
  }

  private static int orAll(int window, int queryTokens) {
    return window == 0 ? Math.max(1, queryTokens) : window;
  }

  private static boolean looksAtQueries(Set<Evidence> required) {
    return required.contains(Evidence.ATTENTION_MASS) || required.contains(Evidence.WINDOW_QUERIES);
  }

  /** Returns what stays of a layer. */
  TokenSelection select(LayerEvidence evidence, TensorOps ops) {
    int tokens = evidence.contextTokens();
    int kept = keptTokens(evidence.layer(), tokens);
    TokenSelection selection = TokenSelection.everything(evidence.kvHeads(), tokens);
    if (kept < tokens) {
      selection =
          policies.selector().select(policies.tokenScorer().score(evidence, ops), kept, ops);
      requireExactBudget(selection, kept, tokens);
    }
    if (!policies.calibration().requires(evidence.layer(), config.layers()).isEmpty()) {
      selection = policies.calibration().calibrate(evidence, selection, ops);
    }
    return selection;
  }

  private void requireExactBudget(TokenSelection selection, int kept, int tokens) {
    long total = Arrays.stream(selection.keptTokens()).asLongStream().sum();
    if (selection.tokens() != tokens || total != (long) kept * config.kvHeads()) {
      throw new InferenceException(
          ErrorCode.INTERNAL,
          "The selector kept "
              + Arrays.toString(selection.keptTokens())
              + " tokens per head of "
              + selection.tokens()
              + " where the budget is "
              + kept
              + " of "
              + tokens
              + ".");
    }
  }
}
