package org.parallelcomp.engine.generate;

import java.util.EnumMap;
import java.util.EnumSet;
import java.util.LinkedHashSet;
import java.util.Map;
import java.util.Set;
import java.util.stream.IntStream;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.evidence.Evidence;
import org.parallelcomp.api.policy.BudgetAllocator;
import org.parallelcomp.api.policy.CalibrationPolicy;
import org.parallelcomp.api.policy.ChunkEvictionPolicy;
import org.parallelcomp.api.policy.ChunkScorer;
import org.parallelcomp.api.policy.ChunkingPolicy;
import org.parallelcomp.api.policy.ContextMerge;
import org.parallelcomp.api.policy.EvictionSchedule;
import org.parallelcomp.api.policy.Plan;
import org.parallelcomp.api.policy.PolicyKind;
import org.parallelcomp.api.policy.PolicySpec;
import org.parallelcomp.api.policy.PrefillMode;
import org.parallelcomp.api.policy.Selector;
import org.parallelcomp.api.policy.TokenScorer;
import org.parallelcomp.engine.PolicyCatalog;

/**
 * The policies of a plan, made for one request.
 *
 * @param plan where they come from
 */
public record Policies(
    Plan plan,
    ChunkingPolicy chunking,
    ChunkScorer chunkScorer,
    ChunkEvictionPolicy chunkEviction,
    BudgetAllocator budget,
    TokenScorer tokenScorer,
    Selector selector,
    CalibrationPolicy calibration,
    EvictionSchedule schedule,
    ContextMerge merge) {

  /**
   * Makes the policies that a plan names.
   *
   * @throws InferenceException with every unknown name and every bad parameter at once
   */
  public static Policies create(Plan plan, PolicyCatalog catalog) {
    var faults = new LinkedHashSet<String>();
    ErrorCode code = ErrorCode.INVALID_ARGUMENT;
    Map<PolicyKind, Object> made = new EnumMap<>(PolicyKind.class);
    for (PolicyKind kind : PolicyKind.values()) {
      PolicySpec spec = plan.policy(kind);
      try {
        made.put(kind, catalog.policy(kind, spec.name()).create(spec.parameters(), catalog));
      } catch (InferenceException e) {
        code = e.code();
        faults.add(e.getMessage());
      }
    }
    if (!faults.isEmpty()) {
      throw new InferenceException(code, String.join(" ", faults));
    }
    return new Policies(
        plan,
        of(made, PolicyKind.CHUNKING, ChunkingPolicy.class),
        of(made, PolicyKind.CHUNK_SCORER, ChunkScorer.class),
        of(made, PolicyKind.CHUNK_EVICTION, ChunkEvictionPolicy.class),
        of(made, PolicyKind.BUDGET, BudgetAllocator.class),
        of(made, PolicyKind.TOKEN_SCORER, TokenScorer.class),
        of(made, PolicyKind.SELECTOR, Selector.class),
        of(made, PolicyKind.CALIBRATION, CalibrationPolicy.class),
        of(made, PolicyKind.SCHEDULE, EvictionSchedule.class),
        of(made, PolicyKind.MERGE, ContextMerge.class));
  }

  private static <T> T of(Map<PolicyKind, Object> made, PolicyKind kind, Class<T> type) {
    Object policy = made.get(kind);
    if (!type.isInstance(policy)) {
      throw new InferenceException(
          ErrorCode.INTERNAL,
          "A " + kind.label() + " was made as " + policy + ", which is no " + type.getName() + ".");
    }
    return type.cast(policy);
  }

  /** Returns whether the chunk scorer must see how likely each chunk makes the question. */
  boolean needsQuestionLikelihood() {
    return chunkScorer.requires().contains(Evidence.QUESTION_LIKELIHOOD);
  }

  /** Returns whether the chunk scorer must see how likely the question is without any chunk. */
  boolean needsQuestionPrior() {
    return chunkScorer.requires().contains(Evidence.QUESTION_PRIOR);
  }

  /** Returns whether the chunk scorer compares token ids. */
  boolean needsTokenIds() {
    return chunkScorer.requires().contains(Evidence.TOKEN_IDS);
  }

  /** Returns whether the chunk scorer looks at the question in any way. */
  boolean chunkScorerLooksAtQuestion() {
    return needsQuestionLikelihood() || needsQuestionPrior() || needsTokenIds();
  }

  /**
   * Returns whether what is kept may depend on the question: on chunks scored by it, or on keys
   * scored by its queries, where any are evicted. A rolling cache is cut before the question comes.
   */
  boolean looksAtQuestion(int layers) {
    if (plan.prefill() == PrefillMode.SEQUENTIAL) {
      return false;
    }
    Set<Evidence> ofKeys = EnumSet.noneOf(Evidence.class);
    if (schedule.prefill() != EvictionSchedule.Prefill.NEVER) {
      if (budget.evicts()) {
        ofKeys.addAll(tokenScorer.requires());
        ofKeys.addAll(selector.requires());
      }
      for (int layer = 0; layer < layers; layer++) {
        ofKeys.addAll(calibration.requires(layer, layers));
      }
    }
    return chunkScorerLooksAtQuestion()
        || ofKeys.contains(Evidence.ATTENTION_MASS)
        || ofKeys.contains(Evidence.WINDOW_QUERIES);
  }

  /** Returns whether what a chunk keeps moves to the positions right behind the prefix. */
  boolean rerotatesChunks() {
    return schedule.rerotate() && schedule.prefill() == EvictionSchedule.Prefill.PER_CHUNK;
  }

  /** Returns whether attention to the context is weighed anew in any layer. */
  boolean weighsAttention(int layers) {
    return merge instanceof ContextMerge.Ape || reweighs(layers);
  }

  private boolean reweighs(int layers) {
    return IntStream.range(0, layers)
        .anyMatch(layer -> calibration.reweighting(layer, layers).isPresent());
  }

  /**
   * Refuses weighed attention where it could not be applied. It keeps context and answer apart: a
   * text that is read as one has no such parts, and a cut after the chunks would mix them.
   */
  void requireWeighingFits(int layers) {
    if (!weighsAttention(layers)) {
      return;
    }
    if (plan.prefill() == PrefillMode.SEQUENTIAL || merge instanceof ContextMerge.Reread) {
      throw new InferenceException(
          ErrorCode.INVALID_ARGUMENT,
          weighingParts()
              + " would have no effect: attention is weighed where chunks stand side by side, and"
              + " this plan reads them as one text.");
    }
    boolean cutsLater =
        schedule.decoding().isPresent() || schedule.prefill() == EvictionSchedule.Prefill.MERGED;
    if (cutsLater || merge instanceof ContextMerge.Ape && reweighs(layers)) {
      throw new InferenceException(
          ErrorCode.INVALID_ARGUMENT,
          weighingParts()
              + " do not go together: weighing attention by parts goes with one such policy, and"
              + " with caches that are cut per chunk only.");
    }
  }

  private String weighingParts() {
    return "The plan's calibration '"
        + plan.policy(PolicyKind.CALIBRATION)
        + "', merge '"
        + plan.policy(PolicyKind.MERGE)
        + "' and schedule '"
        + plan.policy(PolicyKind.SCHEDULE)
        + "'";
  }
}
