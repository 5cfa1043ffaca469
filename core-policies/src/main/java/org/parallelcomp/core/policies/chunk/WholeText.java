package org.parallelcomp.core.policies.chunk;

import java.util.List;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.policy.Chunk;
import org.parallelcomp.api.policy.ChunkingInput;
import org.parallelcomp.api.policy.ChunkingPolicy;
import org.parallelcomp.api.policy.PolicyFactory;
import org.parallelcomp.api.policy.PolicyKind;

/**
 * Leaves the text in one piece.
 *
 * <p>The one chunk holds every token. It is the chunking of plain attention and of the methods that
 * evict keys after a prefill of the whole text. A text that does not fit is refused, not cut.
 *
 * <p><i>Based on</i> plain attention, <a href="https://arxiv.org/abs/1706.03762">arXiv
 * 1706.03762</a>.
 *
 * <p>Parameters: none.
 *
 * <p><i>Differs from the paper in</i> nothing.
 */
public final class WholeText implements ChunkingPolicy {
  /** Makes the policy {@code whole}. */
  public static final PolicyFactory<ChunkingPolicy> FACTORY =
      new PolicyFactory<>(
          PolicyKind.CHUNKING,
          "whole",
          "The whole text as one chunk.",
          "For plain attention and for methods that evict keys after a prefill of the whole text. No paper.",
          List.of(),
          p -> new WholeText());

  private WholeText() {}

  @Override
  public List<Chunk> split(ChunkingInput input) {
    if (input.tokens() > input.maxChunkTokens()) {
      throw new InferenceException(
          ErrorCode.INVALID_ARGUMENT,
          "The text has "
              + input.tokens()
              + " tokens and must stay whole, but only "
              + input.maxChunkTokens()
              + " fit the trained window; choose the chunking 'even'.");
    }
    return input.tokens() == 0 ? List.of() : List.of(new Chunk(0, 0, input.tokens()));
  }
}
