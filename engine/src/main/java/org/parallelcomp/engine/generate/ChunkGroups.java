package org.parallelcomp.engine.generate;

import java.util.ArrayList;
import java.util.List;
import org.parallelcomp.api.policy.Chunk;

/**
 * Which chunks pass through the decoder together. Short ones alone leave a device idle most of the
 * time: its products have too few rows, and to start them takes longer than to compute them.
 *
 * <p>The groups follow from the chunks and the block alone, and not from the number of devices:
 * backends choose their algorithms by the number of rows, so chunks that pass in other groups are
 * rounded otherwise.
 */
final class ChunkGroups {
  /** The number of groups is a multiple of it, so that two or four devices share them evenly. */
  private static final int SHARES = 4;

  private ChunkGroups() {}

  /**
   * Returns consecutive chunks in groups of equal size, give or take one.
   *
   * @param queryTokens tokens that pass behind each chunk
   * @param blockTokens the most tokens of a group, unless one chunk alone has more
   */
  static List<List<Chunk>> of(List<Chunk> chunks, int queryTokens, int blockTokens) {
    int longest = chunks.stream().mapToInt(Chunk::tokens).max().orElse(0);
    int mostTogether = Math.max(1, blockTokens / (longest + queryTokens));
    int count =
        Math.min(chunks.size(), SHARES * Math.ceilDiv(chunks.size(), SHARES * mostTogether));
    var groups = new ArrayList<List<Chunk>>();
    for (int i = 0; i < count; i++) {
      groups.add(
          chunks.subList(first(i, count, chunks.size()), first(i + 1, count, chunks.size())));
    }
    return groups;
  }

  /** The first of so many chunks in one of so many groups. */
  private static int first(int group, int groups, int chunks) {
    return Math.toIntExact((long) group * chunks / groups);
  }
}
