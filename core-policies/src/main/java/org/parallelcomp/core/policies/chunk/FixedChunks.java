package org.parallelcomp.core.policies.chunk;

import java.util.ArrayList;
import java.util.List;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.policy.Chunk;
import org.parallelcomp.api.policy.ChunkingInput;
import org.parallelcomp.api.policy.ChunkingPolicy;
import org.parallelcomp.api.policy.Parameter;
import org.parallelcomp.api.policy.PolicyFactory;
import org.parallelcomp.api.policy.PolicyKind;

/**
 * Cuts a text every so many tokens, with an overlap if wanted.
 *
 * <p>Each chunk begins where the one before ended, or the overlap earlier, so that what a cut would
 * tear apart stands whole in one of the two. The last chunk is as short as it comes. Only the
 * trained window makes chunks shorter than asked for.
 *
 * <p><i>Based on</i> Parallel Context Windows, <a href="https://arxiv.org/abs/2212.10947">arXiv
 * 2212.10947</a> (without overlap).
 *
 * <p>Parameters: {@code tokens} = 512 tokens (0: as many as the trained window allows); {@code
 * overlap} = 0 tokens for {@code fixed} and 64 for {@code overlapping}.
 *
 * <p><i>Differs from the paper in</i> the overlap.
 */
public final class FixedChunks implements ChunkingPolicy {
  /** Makes the policy {@code fixed}. */
  public static final PolicyFactory<ChunkingPolicy> FIXED =
      factory("fixed", "A cut every so many tokens; the last chunk is what is left.", 0);

  /** Makes the policy {@code overlapping}. */
  public static final PolicyFactory<ChunkingPolicy> OVERLAPPING =
      factory(
          "overlapping", "A cut every so many tokens; each chunk repeats the last one's end.", 64);

  private final int tokens;
  private final int overlap;

  private FixedChunks(int tokens, int overlap) {
    this.tokens = tokens;
    this.overlap = overlap;
    if (tokens > 0 && overlap >= tokens) {
      throw new InferenceException(
          ErrorCode.INVALID_ARGUMENT,
          "overlap must be less than tokens, not " + overlap + " of " + tokens + ".");
    }
  }

  private static PolicyFactory<ChunkingPolicy> factory(String name, String summary, int overlap) {
    return new PolicyFactory<>(
        PolicyKind.CHUNKING,
        name,
        summary,
        "Chunks of equal length whatever the text says, the last one shorter. Based on Parallel"
            + " Context Windows (arXiv 2212.10947); differs in the overlap.",
        List.of(
            Parameter.integer(
                "tokens",
                512,
                0,
                "tokens",
                "length of a chunk; 0 for the longest that fits the trained window"),
            Parameter.integer(
                "overlap", overlap, 0, "tokens", "how many of its tokens the next chunk repeats")),
        p -> new FixedChunks(p.integer("tokens"), p.integer("overlap")));
  }

  @Override
  public List<Chunk> split(ChunkingInput input) {
    int length = tokens == 0 ? input.maxChunkTokens() : Math.min(tokens, input.maxChunkTokens());
    int stride = Math.max(1, length - overlap);
    var chunks = new ArrayList<Chunk>();
    int covered = 0;
    for (int from = 0; covered < input.tokens(); from += stride) {
      covered = Math.min(input.tokens(), from + length);
      chunks.add(new Chunk(chunks.size(), from, covered));
    }
    return chunks;
  }
}
