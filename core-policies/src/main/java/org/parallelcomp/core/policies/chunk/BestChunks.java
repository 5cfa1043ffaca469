package org.parallelcomp.core.policies.chunk;

import java.util.Comparator;
import java.util.List;
import java.util.PriorityQueue;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.policy.Chunk;
import org.parallelcomp.api.policy.ChunkEvictionPolicy;
import org.parallelcomp.api.policy.ChunkEvictionRequest;
import org.parallelcomp.api.policy.Parameter;
import org.parallelcomp.api.policy.PolicyFactory;
import org.parallelcomp.api.policy.PolicyKind;

/**
 * Keeps the chunks that are worth most.
 *
 * <p>A queue of fixed size takes the chunks as they are scored; when it overflows, the worst chunk
 * goes, so that at most one more chunk than are kept is held at any time. Of equal chunks the
 * earlier one stays; a score that is not a number ranks lowest.
 *
 * <p><i>Based on</i> the fixed-size priority queue of ParallelComp, <a
 * href="https://arxiv.org/abs/2502.14317">arXiv 2502.14317</a>, section 3.2.
 *
 * <p>Parameters: {@code chunks} = 1 chunk, how many are kept.
 *
 * <p><i>Differs from the paper in</i> having no threshold on the score (its equation 4), as the
 * released code.
 */
public final class BestChunks implements ChunkEvictionPolicy {
  /** Makes the policy {@code best}. */
  public static final PolicyFactory<ChunkEvictionPolicy> FACTORY =
      new PolicyFactory<>(
          PolicyKind.CHUNK_EVICTION,
          "best",
          "Keeps the chunks that are worth most.",
          "A queue of fixed size, decided while the chunks are scored; of equal chunks the earlier"
              + " stays. Based on ParallelComp (arXiv 2502.14317); differs in having no threshold.",
          List.of(Parameter.integer("chunks", 1, 1, "chunks", "how many chunks are kept")),
          p -> new BestChunks(p.integer("chunks")));

  private final int chunks;

  private BestChunks(int chunks) {
    this.chunks = chunks;
  }

  @Override
  public Queue start(ChunkEvictionRequest request) {
    int kept = Math.min(chunks, request.chunks().size());
    long longest = request.chunks().stream().mapToInt(Chunk::tokens).max().orElse(0);
    if (kept * longest > request.maxKeptTokens()) {
      throw new InferenceException(
          ErrorCode.INVALID_ARGUMENT,
          "Up to "
              + kept * longest
              + " tokens of kept chunks would be read once more, but the model's window has room for"
              + " "
              + request.maxKeptTokens()
              + "; keep fewer chunks or make them smaller.");
    }
    return new BoundedQueue(kept);
  }

  private record Scored(int chunk, double score) {
    /** Worst first. */
    static final Comparator<Scored> ORDER =
        Comparator.comparing((Scored s) -> !Double.isNaN(s.score))
            // Adding zero makes -0 equal to 0.
            .thenComparingDouble(s -> s.score + 0.0)
            .thenComparing(Comparator.comparingInt(Scored::chunk).reversed());
  }

  private static final class BoundedQueue implements Queue {
    private final int capacity;
    private final PriorityQueue<Scored> worstFirst = new PriorityQueue<>(Scored.ORDER);

    BoundedQueue(int capacity) {
      this.capacity = capacity;
    }

    @Override
    public int capacity() {
      return capacity;
    }

    @Override
    public List<Integer> offer(int chunk, double score) {
      worstFirst.add(new Scored(chunk, score));
      return worstFirst.size() > capacity ? List.of(worstFirst.remove().chunk()) : List.of();
    }

    @Override
    public List<Integer> kept() {
      return worstFirst.stream().map(Scored::chunk).sorted().toList();
    }
  }
}
