package org.parallelcomp.core.policies;

import java.util.List;
import java.util.Optional;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.policy.EvictionSchedule;
import org.parallelcomp.api.policy.EvictionSchedule.Prefill;
import org.parallelcomp.api.policy.EvictionSchedule.WhileDecoding;
import org.parallelcomp.api.policy.Parameter;
import org.parallelcomp.api.policy.Parameters;
import org.parallelcomp.api.policy.PolicyFactory;
import org.parallelcomp.api.policy.PolicyKind;

/**
 * When tokens are evicted.
 *
 * <p>{@code per-chunk} cuts each chunk's cache layer by layer while the chunk is prefilled, so that
 * no uncut cache ever exists. {@code merged} cuts once, layer by layer while the question passes,
 * so that the kept chunks share one budget as the attention of the question says. {@code
 * while-decoding} cuts the cache again and again while the answer grows, by the attention of its
 * newest tokens; the prompt's prefix and these newest tokens always stay.
 *
 * <p><i>Based on</i> ParallelComp, <a href="https://arxiv.org/abs/2502.14317">arXiv 2502.14317</a>,
 * section 3.3 and the eviction over all chunks of its figure 5; H2O, <a
 * href="https://arxiv.org/abs/2306.14048">arXiv 2306.14048</a>, which evicts while decoding; and
 * FINCH, <a href="https://arxiv.org/abs/2408.00167">arXiv 2408.00167</a>, which rotates kept keys.
 *
 * <p>Parameters: {@code rerotate} = false, whether kept keys are rotated to consecutive positions;
 * of {@code while-decoding} also {@code every} = 128 tokens, {@code tokens} = 2048 tokens per kv
 * head and layer and {@code bytes} = 0 bytes in all, above which the cache is cut (0: no such
 * limit), and {@code prefill} = per-chunk, merged or never.
 *
 * <p><i>Differs from the papers in</i> being independent of scores and budget: any scorer and any
 * selector can be combined with any of them.
 */
final class Schedules {
  private static final Parameter REROTATE =
      Parameter.flag("rerotate", false, "whether kept keys are rotated to consecutive positions");

  /** Makes the policy {@code per-chunk}. */
  static final PolicyFactory<EvictionSchedule> PER_CHUNK =
      new PolicyFactory<>(
          PolicyKind.SCHEDULE,
          "per-chunk",
          "Each chunk is cut while it is prefilled, layer by layer.",
          "No uncut cache ever exists, and each chunk has a budget of its own. Based on"
              + " ParallelComp (arXiv 2502.14317, section 3.3).",
          List.of(REROTATE),
          p -> new EvictionSchedule(Prefill.PER_CHUNK, p.flag("rerotate"), Optional.empty()));

  /** Makes the policy {@code merged}. */
  static final PolicyFactory<EvictionSchedule> MERGED =
      new PolicyFactory<>(
          PolicyKind.SCHEDULE,
          "merged",
          "The merged context is cut once, while the question passes; one budget for all chunks.",
          "The kept chunks share the budget as the question's attention over all of them says;"
              + " until then their uncut caches are held. Based on the eviction over all chunks of"
              + " ParallelComp (arXiv 2502.14317, figure 5), and on methods that compress once"
              + " after prefill, such as SnapKV (arXiv 2404.14469).",
          List.of(REROTATE),
          p -> new EvictionSchedule(Prefill.MERGED, p.flag("rerotate"), Optional.empty()));

  /** Makes the policy {@code while-decoding}. */
  static final PolicyFactory<EvictionSchedule> WHILE_DECODING =
      new PolicyFactory<>(
          PolicyKind.SCHEDULE,
          "while-decoding",
          "The cache is cut every so many answer tokens, to a token budget or a byte limit.",
          "Looked at every so many tokens; where it holds more than the limit, each layer above its"
              + " even share is cut to it by the scores of the newest tokens' queries. The prompt's"
              + " prefix and those newest tokens always stay. Based on H2O (arXiv 2306.14048).",
          List.of(
              Parameter.integer("every", 128, 1, "tokens", "how often the cache is looked at"),
              Parameter.integer(
                  "tokens", 2048, 0, "tokens", "limit per kv head and layer; 0 for none"),
              Parameter.integer("bytes", 0, 0, "bytes", "limit of all keys and values; 0 for none"),
              Parameter.choice(
                  "prefill", "when the context is cut before", "per-chunk", "merged", "never"),
              REROTATE),
          Schedules::whileDecoding);

  private Schedules() {}

  private static EvictionSchedule whileDecoding(Parameters p) {
    int tokens = p.integer("tokens");
    long bytes = p.longInteger("bytes");
    if (tokens == 0 && bytes == 0) {
      throw new InferenceException(
          ErrorCode.INVALID_ARGUMENT, "while-decoding: tokens or bytes must be above 0.");
    }
    return new EvictionSchedule(
        switch (p.text("prefill")) {
          case "per-chunk" -> Prefill.PER_CHUNK;
          case "merged" -> Prefill.MERGED;
          default -> Prefill.NEVER;
        },
        p.flag("rerotate"),
        Optional.of(
            new WhileDecoding(
                p.integer("every"),
                tokens == 0 ? Integer.MAX_VALUE : tokens,
                bytes == 0 ? Long.MAX_VALUE : bytes)));
  }
}
