package org.parallelcomp.core.policies;

import java.util.List;
import java.util.Optional;
import org.parallelcomp.api.policy.EvictionSchedule;
import org.parallelcomp.api.policy.PolicyFactory;
import org.parallelcomp.api.policy.PolicyKind;

/**
 * When tokens are evicted.
 *
 * <p>{@code per-chunk} cuts each chunk's cache layer by layer while the chunk is prefilled, so that
 * no uncut cache ever exists.
 *
 * <p><i>Based on</i> ParallelComp, <a href="https://arxiv.org/abs/2502.14317">arXiv 2502.14317</a>,
 * section 3.3.
 *
 * <p>Parameters: none.
 */
final class Schedules {
  /** Makes the policy {@code per-chunk}. */
  static final PolicyFactory<EvictionSchedule> PER_CHUNK =
      new PolicyFactory<>(
          PolicyKind.SCHEDULE,
          "per-chunk",
          "Each chunk is cut while it is prefilled, layer by layer.",
          "No uncut cache ever exists, and each chunk has a budget of its own. Based on"
              + " ParallelComp (arXiv 2502.14317, section 3.3).",
          List.of(),
          p -> new EvictionSchedule(EvictionSchedule.Prefill.PER_CHUNK, false, Optional.empty()));

  private Schedules() {}
}
