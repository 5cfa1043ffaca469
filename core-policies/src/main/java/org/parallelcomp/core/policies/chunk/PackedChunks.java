package org.parallelcomp.core.policies.chunk;

import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import org.parallelcomp.api.policy.Chunk;
import org.parallelcomp.api.policy.ChunkingInput;
import org.parallelcomp.api.policy.ChunkingPolicy;
import org.parallelcomp.api.policy.Parameter;
import org.parallelcomp.api.policy.PolicyFactory;
import org.parallelcomp.api.policy.PolicyKind;

/**
 * Packs whole sentences, or whole paragraphs, into chunks.
 *
 * <p>A chunk takes as many of them as fit. A paragraph that is longer than a chunk is cut at the
 * last sentence that fits, and a sentence that is longer at the limit.
 *
 * <p><i>Based on</i> no paper.
 *
 * <p>Parameters: {@code tokens} = 512 tokens, the longest chunk (0: as long as the trained window
 * allows).
 */
public final class PackedChunks implements ChunkingPolicy {
  /** Makes the policy {@code sentences}. */
  public static final PolicyFactory<ChunkingPolicy> SENTENCES =
      factory("sentences", "Whole sentences, as many as fit a chunk.", false);

  /** Makes the policy {@code paragraphs}. */
  public static final PolicyFactory<ChunkingPolicy> PARAGRAPHS =
      factory("paragraphs", "Whole paragraphs, as many as fit a chunk.", true);

  private final int tokens;
  private final boolean byParagraph;

  private PackedChunks(int tokens, boolean byParagraph) {
    this.tokens = tokens;
    this.byParagraph = byParagraph;
  }

  private static PolicyFactory<ChunkingPolicy> factory(
      String name, String summary, boolean byParagraph) {
    return new PolicyFactory<>(
        PolicyKind.CHUNKING,
        name,
        summary,
        "What is longer than a chunk is cut at the last sentence that fits, or else at the limit. No paper.",
        List.of(
            Parameter.integer(
                "tokens",
                512,
                0,
                "tokens",
                "longest chunk; 0 for the longest that fits the trained window")),
        p -> new PackedChunks(p.integer("tokens"), byParagraph));
  }

  @Override
  public List<Chunk> split(ChunkingInput input) {
    int longest = tokens == 0 ? input.maxChunkTokens() : Math.min(tokens, input.maxChunkTokens());
    List<BitSet> ends =
        byParagraph
            ? List.of(input.paragraphEnds(), input.sentenceEnds())
            : List.of(input.sentenceEnds());
    var chunks = new ArrayList<Chunk>();
    int from = 0;
    while (from < input.tokens()) {
      int to = end(from, Math.min(input.tokens(), from + longest), input.tokens(), ends);
      chunks.add(new Chunk(chunks.size(), from, to));
      from = to;
    }
    return chunks;
  }

  /** Returns the last end in {@code (from, limit]} of the first kind that has one there. */
  private static int end(int from, int limit, int tokens, List<BitSet> kinds) {
    if (limit == tokens) {
      return limit;
    }
    for (BitSet ends : kinds) {
      int lastToken = ends.previousSetBit(limit - 1);
      if (lastToken >= from) {
        return lastToken + 1;
      }
    }
    return limit;
  }
}
