package org.parallelcomp.core.policies.chunk;

import java.util.List;
import java.util.Set;
import org.parallelcomp.api.evidence.ChunkEvidence;
import org.parallelcomp.api.evidence.Evidence;
import org.parallelcomp.api.policy.ChunkScorer;
import org.parallelcomp.api.policy.PolicyFactory;
import org.parallelcomp.api.policy.PolicyKind;

/**
 * Chunks are worth the more, the earlier they stand in the text, or the later.
 *
 * <p>The score is the chunk's place in the text, or its negative. {@code first} and {@code last}
 * are the controls that truncate a text to its beginning or its end.
 *
 * <p><i>Based on</i> no paper.
 *
 * <p>Parameters: none.
 */
public final class PositionChunkScore implements ChunkScorer {
  /** Makes the policy {@code first}. */
  public static final PolicyFactory<ChunkScorer> FIRST =
      factory("first", "The earlier a chunk, the more it is worth: the text's beginning.", -1);

  /** Makes the policy {@code last}. */
  public static final PolicyFactory<ChunkScorer> LAST =
      factory("last", "The later a chunk, the more it is worth: the text's end.", 1);

  private final int sign;

  private PositionChunkScore(int sign) {
    this.sign = sign;
  }

  private static PolicyFactory<ChunkScorer> factory(String name, String summary, int sign) {
    return new PolicyFactory<>(
        PolicyKind.CHUNK_SCORER,
        name,
        summary,
        "A control that looks at nothing: what truncating the text would keep. No paper.",
        List.of(),
        p -> new PositionChunkScore(sign));
  }

  @Override
  public Set<Evidence> requires() {
    return Set.of();
  }

  @Override
  public double score(ChunkEvidence evidence) {
    return sign * evidence.chunk();
  }
}
