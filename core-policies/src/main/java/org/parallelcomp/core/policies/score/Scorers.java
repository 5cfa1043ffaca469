package org.parallelcomp.core.policies.score;

import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import org.parallelcomp.api.evidence.Evidence;
import org.parallelcomp.api.policy.TokenScorer;

/** What a policy made of several scorers has to be shown. */
public final class Scorers {
  private Scorers() {}

  /** Returns what any of the scorers requires. */
  public static Set<Evidence> requires(List<TokenScorer> scorers) {
    return scorers.stream()
        .flatMap(scorer -> scorer.requires().stream())
        .collect(Collectors.toUnmodifiableSet());
  }

  /**
   * Returns the longest window of the scorers that look through one, as {@link
   * TokenScorer#windowTokens} takes it; all queries where none does.
   */
  public static int windowTokens(List<TokenScorer> scorers, int queryTokens) {
    return scorers.stream()
        .filter(scorer -> Window.isRequired(scorer.requires()))
        .mapToInt(scorer -> scorer.windowTokens(queryTokens))
        .max()
        .orElse(queryTokens);
  }
}
