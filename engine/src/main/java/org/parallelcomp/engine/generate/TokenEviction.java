package org.parallelcomp.engine.generate;

import java.util.Arrays;
import java.util.Collections;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import java.util.function.IntUnaryOperator;
import java.util.stream.IntStream;
import org.parallelcomp.api.backend.TensorOps;
import org.parallelcomp.api.cache.TokenSelection;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.evidence.Evidence;
import org.parallelcomp.api.evidence.LayerEvidence;
import org.parallelcomp.api.policy.BudgetRequest;
import org.parallelcomp.api.policy.CalibrationPolicy;
import org.parallelcomp.api.policy.EvictionSchedule;
import org.parallelcomp.api.policy.PolicyKind;
import org.parallelcomp.api.policy.Selector;
import org.parallelcomp.api.policy.TokenScorer;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.engine.load.ModelConfig;
import org.parallelcomp.engine.model.CacheFormat;

/** Budget, scorer, selector and calibration of a plan as one decision per layer. */
final class TokenEviction {
  private static final Set<Evidence> OF_WINDOW =
      EnumSet.of(Evidence.ATTENTION_MASS, Evidence.WINDOW_QUERIES);
  private static final Set<Evidence> OF_CONTEXT_QUERIES =
      EnumSet.of(Evidence.CONTEXT_QUERIES, Evidence.UNROTATED_QUERIES);

  private final Policies policies;
  private final ModelConfig config;
  private final CacheFormat format;
  private final int keptChunks;
  private final boolean enabled;

  private TokenEviction(
      Policies policies, CacheFormat format, int keptChunks, EvictionSchedule.Prefill when) {
    this.policies = policies;
    this.config = format.config();
    this.format = format;
    this.keptChunks = keptChunks;
    this.enabled = policies.schedule().prefill() == when;
  }

  /**
   * Returns the decision on each chunk alone, which keeps everything if the plan's schedule cuts at
   * another time.
   *
   * @param keptChunks the most chunks that share the budget
   */
  static TokenEviction perChunk(Policies policies, CacheFormat format, int keptChunks) {
    return new TokenEviction(policies, format, keptChunks, EvictionSchedule.Prefill.PER_CHUNK);
  }

  /**
   * Returns the decision on the merged context, which keeps everything if the plan's schedule cuts
   * at another time.
   */
  static TokenEviction merged(Policies policies, CacheFormat format) {
    return new TokenEviction(policies, format, 1, EvictionSchedule.Prefill.MERGED);
  }

  /** Returns how many tokens of so many a layer may keep per kv head. */
  int keptTokens(int layer, int contextTokens) {
    if (!enabled) {
      return contextTokens;
    }
    int kept =
        policies
            .budget()
            .keptTokens(
                new BudgetRequest(
                    layer,
                    config.layers(),
                    config.kvHeads(),
                    contextTokens,
                    format.headTokenBytes(),
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
      required.addAll(policies.selector().requires());
    }
    required.addAll(calibrationEvidence(layer));
    return required;
  }

  private Set<Evidence> calibrationEvidence(int layer) {
    return enabled ? policies.calibration().requires(layer, config.layers()) : Set.of();
  }

  /** Returns the evidence that scores and selection read, whatever the budget. */
  Set<Evidence> scoreEvidence() {
    Set<Evidence> required = EnumSet.noneOf(Evidence.class);
    required.addAll(policies.tokenScorer().requires());
    required.addAll(policies.selector().requires());
    return required;
  }

  /** Returns how many of the last tokens scores and selection look at, whatever the budget. */
  int scoreWindow(int queryTokens) {
    TokenScorer scorer = policies.tokenScorer();
    Selector selector = policies.selector();
    return Math.max(
        window(scorer.requires(), scorer::windowTokens, queryTokens),
        window(selector.requires(), selector::windowTokens, queryTokens));
  }

  /** Returns whether any layer may lose tokens of a context of this length. */
  boolean evictsAnywhere(int contextTokens) {
    return budgetCutsAnywhere(contextTokens)
        || IntStream.range(0, config.layers())
            .anyMatch(layer -> !calibrationEvidence(layer).isEmpty());
  }

  /** Returns whether some layer may keep less than so many tokens. */
  boolean budgetCutsAnywhere(int contextTokens) {
    return IntStream.range(0, config.layers())
        .anyMatch(layer -> keptTokens(layer, contextTokens) < contextTokens);
  }

  /**
   * Returns how many of a pass' last tokens the decisions look at, perhaps {@link
   * LayerEvidence#WHOLE_PASS}.
   *
   * @param queryTokens tokens behind the context
   */
  int windowTokens(int queryTokens, int contextTokens) {
    CalibrationPolicy calibration = policies.calibration();
    int window = 0;
    for (int layer = 0; layer < config.layers(); layer++) {
      if (keptTokens(layer, contextTokens) < contextTokens) {
        window = Math.max(window, scoreWindow(queryTokens));
      }
      int calibrated = window(calibrationEvidence(layer), calibration::windowTokens, queryTokens);
      window = Math.max(window, calibrated);
    }
    return window;
  }

  private static int window(
      Set<Evidence> required, IntUnaryOperator windowTokens, int queryTokens) {
    if (!Collections.disjoint(required, OF_CONTEXT_QUERIES)) {
      return LayerEvidence.WHOLE_PASS;
    }
    return Collections.disjoint(required, OF_WINDOW)
        ? 0
        : Math.max(1, windowTokens.applyAsInt(queryTokens));
  }

  /**
   * Refuses policies that look at queries of the context's own tokens.
   *
   * @param when where there are none, as in "while decoding"
   */
  void requireNoContextQueries(String when) {
    for (Set<Evidence> required :
        List.of(policies.tokenScorer().requires(), policies.selector().requires())) {
      for (Evidence evidence : OF_CONTEXT_QUERIES) {
        if (required.contains(evidence)) {
          throw new InferenceException(
              ErrorCode.INVALID_ARGUMENT,
              "The plan's token-scorer '"
                  + policies.plan().policy(PolicyKind.TOKEN_SCORER)
                  + "' and selector '"
                  + policies.plan().policy(PolicyKind.SELECTOR)
                  + "' need "
                  + evidence
                  + ", which there is not "
                  + when
                  + ".");
        }
      }
    }
  }

  /** Returns the bytes that the evidence itself takes while a layer of so many tokens is cut. */
  long evidenceBytes(int contextTokens) {
    Set<Evidence> required = EnumSet.noneOf(Evidence.class);
    for (int layer = 0; layer < config.layers(); layer++) {
      required.addAll(requires(layer, contextTokens));
    }
    long headNumbers = (long) contextTokens * config.headDim();
    long numbers = 0;
    for (Evidence evidence : required) {
      numbers +=
          switch (evidence) {
            case CONTEXT_QUERIES -> config.queryHeads() * headNumbers;
            // A cache of halves is copied to be looked at, and then to be rotated back.
            case KEYS, VALUES -> format.dtype() == DType.F32 ? 0 : config.kvHeads() * headNumbers;
            case UNROTATED_KEYS -> config.kvHeads() * headNumbers;
            case UNROTATED_QUERIES -> 2 * config.queryHeads() * headNumbers;
            case OUTPUT_PROJECTION ->
                ((long) config.layers() * config.hiddenDim()
                        + (long) config.queryHeads() * config.headDim())
                    * config.queryHeads()
                    * config.headDim();
            default -> 0;
          };
    }
    return Float.BYTES * numbers;
  }

  /** Returns what stays of a layer. */
  TokenSelection select(LayerEvidence evidence, TensorOps ops) {
    return calibrate(evidence, withinBudget(evidence, ops), ops);
  }

  /** Returns what scores and budget leave of a layer. */
  TokenSelection withinBudget(LayerEvidence evidence, TensorOps ops) {
    int tokens = evidence.contextTokens();
    int kept = keptTokens(evidence.layer(), tokens);
    return kept < tokens
        ? selectExactly(evidence, kept, ops)
        : TokenSelection.everything(evidence.kvHeads(), tokens);
  }

  /** Returns what calibration leaves of that. */
  TokenSelection calibrate(LayerEvidence evidence, TokenSelection keptByBudget, TensorOps ops) {
    return calibrationEvidence(evidence.layer()).isEmpty()
        ? keptByBudget
        : policies.calibration().calibrate(evidence, keptByBudget, ops);
  }

  /**
   * Returns the best tokens by score and selector.
   *
   * @param kept how many per kv head, on average over the heads
   */
  TokenSelection selectExactly(LayerEvidence evidence, int kept, TensorOps ops) {
    int tokens = evidence.contextTokens();
    TokenSelection selection =
        policies
            .selector()
            .select(policies.tokenScorer().score(evidence, ops), kept, evidence, ops);
    long total = Arrays.stream(selection.keptTokens()).asLongStream().sum();
    if (selection.tokens() != tokens || total != (long) kept * evidence.kvHeads()) {
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
    return selection;
  }
}
