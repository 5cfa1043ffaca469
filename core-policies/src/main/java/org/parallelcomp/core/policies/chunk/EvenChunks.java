package org.parallelcomp.core.policies.chunk;

import java.util.ArrayList;
import java.util.List;
import org.parallelcomp.api.policy.Chunk;
import org.parallelcomp.api.policy.ChunkingInput;
import org.parallelcomp.api.policy.ChunkingPolicy;
import org.parallelcomp.api.policy.Parameter;
import org.parallelcomp.api.policy.PolicyFactory;
import org.parallelcomp.api.policy.PolicyKind;

/**
 * Cuts a text into chunks of nearly equal length, at the end of a sentence where one is near.
 *
 * <p>What is left of the text is divided by the least number of chunks that can hold it, and the
 * next chunk gets that length, rounded up. If a sentence ends within its last tokens, it is cut
 * there. A short cut is made good by the chunks that follow, so none exceeds the limit.
 *
 * <p><i>Based on</i> ParallelComp, <a href="https://arxiv.org/abs/2502.14317">arXiv 2502.14317</a>,
 * section 3.1.
 *
 * <p>Parameters: {@code tokens} = 512 tokens, the longest chunk (0: as long as the trained window
 * allows); {@code slack} = 64 tokens, how far before its end a chunk may be cut at a sentence.
 *
 * <p><i>Differs from the paper in</i> that it cuts tokens, not characters, prefers the ends of
 * sentences, and takes chunks shorter than the window, which models read better.
 */
public final class EvenChunks implements ChunkingPolicy {
  /** Makes the policy {@code even}. */
  public static final PolicyFactory<ChunkingPolicy> FACTORY =
      new PolicyFactory<>(
          PolicyKind.CHUNKING,
          "even",
          "Chunks of nearly equal length, cut at the end of a sentence where one is near.",
          "Divides what is left of the text by the least number of chunks that can hold it, and"
              + " cuts at the last sentence end within the slack. Based on ParallelComp"
              + " (arXiv 2502.14317); differs in cutting tokens instead of characters.",
          List.of(
              Parameter.integer(
                  "tokens",
                  512,
                  0,
                  "tokens",
                  "longest chunk; 0 for the longest that fits the trained window"),
              Parameter.integer(
                  "slack",
                  64,
                  0,
                  "tokens",
                  "how far before its end a chunk may be cut at a sentence end")),
          p -> new EvenChunks(p.integer("tokens"), p.integer("slack")));

  private final int tokens;
  private final int slack;

  private EvenChunks(int tokens, int slack) {
    this.tokens = tokens;
    this.slack = slack;
  }

  @Override
  public List<Chunk> split(ChunkingInput input) {
    int longest = tokens == 0 ? input.maxChunkTokens() : Math.min(tokens, input.maxChunkTokens());
    var chunks = new ArrayList<Chunk>();
    int from = 0;
    while (from < input.tokens()) {
      int left = input.tokens() - from;
      int to = from + Math.ceilDiv(left, Math.ceilDiv(left, longest));
      if (to < input.tokens()) {
        to = sentenceEnd(input, from, to);
      }
      chunks.add(new Chunk(chunks.size(), from, to));
      from = to;
    }
    return chunks;
  }

  /** Returns the end of the last sentence that ends near {@code to}, or {@code to}. */
  private int sentenceEnd(ChunkingInput input, int from, int to) {
    // Never before the second token, so that a chunk cannot shrink to nothing.
    int beyond = Math.max(from + 1, to - slack);
    int lastToken = input.sentenceEnds().previousSetBit(to - 1);
    return lastToken >= beyond ? lastToken + 1 : to;
  }
}
