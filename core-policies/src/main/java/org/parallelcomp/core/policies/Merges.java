package org.parallelcomp.core.policies;

import java.util.List;
import org.parallelcomp.api.policy.ContextMerge;
import org.parallelcomp.api.policy.Parameter;
import org.parallelcomp.api.policy.PolicyFactory;
import org.parallelcomp.api.policy.PolicyKind;

/**
 * The ways in which kept chunks become one context.
 *
 * <p>{@code parallel} lays the kept caches side by side in document order, at positions that they
 * share, and prefills the question behind the longest. {@code reread} prefills the kept chunks once
 * more as one text, at positions of their own, so that each is read in the light of the others.
 * {@code ape} lays them side by side too, but attends to them with a temperature and merges that
 * with the attention to prompt and answer by a scaled log-sum-exp.
 *
 * <p><i>Based on</i> ParallelComp, <a href="https://arxiv.org/abs/2502.14317">arXiv 2502.14317</a>,
 * equations 9 to 11 ({@code parallel}), and APE, <a href="https://arxiv.org/abs/2502.05431">arXiv
 * 2502.05431</a> ({@code ape}).
 *
 * <p>Parameters: of {@code ape}, {@code temperature} = 0.9 and {@code scale} = 0.9, as APE's own
 * demonstration has them.
 *
 * <p><i>Differs from the papers in</i> {@code reread}, which they do not have; {@code ape} may be
 * combined with chunk and token eviction.
 */
final class Merges {
  /** Makes the policy {@code parallel}. */
  static final PolicyFactory<ContextMerge> PARALLEL =
      new PolicyFactory<>(
          PolicyKind.MERGE,
          "parallel",
          "The kept caches side by side, the question behind the longest.",
          "Nothing is computed again; the chunks share positions. Based on ParallelComp (arXiv"
              + " 2502.14317, equations 9 to 11).",
          List.of(),
          p -> new ContextMerge.Parallel());

  /** Makes the policy {@code reread}. */
  static final PolicyFactory<ContextMerge> REREAD =
      new PolicyFactory<>(
          PolicyKind.MERGE,
          "reread",
          "The kept chunks prefilled once more as one text, the question behind.",
          "Each chunk is read in the light of those before it, without shared positions; the kept"
              + " chunks must fit the trained window together. No paper.",
          List.of(),
          p -> new ContextMerge.Reread());

  /** Makes the policy {@code ape}. */
  static final PolicyFactory<ContextMerge> APE =
      new PolicyFactory<>(
          PolicyKind.MERGE,
          "ape",
          "Side by side, with a temperature and a scale on the attention to the context.",
          "The context's products are divided by the temperature, and its log-sum-exp is multiplied"
              + " by scale * temperature before it is merged with that of prompt and answer. Based"
              + " on APE (arXiv 2502.05431); differs in going with chunk and token eviction.",
          List.of(
              Parameter.number(
                  "temperature", 0.9, 0.01, 10, "", "below 1 sharpens attention in the context"),
              Parameter.number(
                  "scale", 0.9, 0.01, 10, "", "below 1 lowers the weight of the whole context")),
          p -> new ContextMerge.Ape(p.number("temperature"), p.number("scale")));

  private Merges() {}
}
