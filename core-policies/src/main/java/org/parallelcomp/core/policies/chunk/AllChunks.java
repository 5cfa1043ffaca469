package org.parallelcomp.core.policies.chunk;

import java.util.ArrayList;
import java.util.List;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.policy.Chunk;
import org.parallelcomp.api.policy.ChunkEvictionPolicy;
import org.parallelcomp.api.policy.ChunkEvictionRequest;
import org.parallelcomp.api.policy.PolicyFactory;
import org.parallelcomp.api.policy.PolicyKind;

/**
 * Keeps every chunk.
 *
 * <p>Nothing is ever evicted, whatever the scores. The merged cache grows with the text.
 *
 * <p><i>Based on</i> Parallel Context Windows, <a href="https://arxiv.org/abs/2212.10947">arXiv
 * 2212.10947</a>, which keeps all its windows.
 *
 * <p>Parameters: none.
 *
 * <p><i>Differs from the paper in</i> nothing.
 */
public final class AllChunks implements ChunkEvictionPolicy {
  /** Makes the policy {@code all}. */
  public static final PolicyFactory<ChunkEvictionPolicy> FACTORY =
      new PolicyFactory<>(
          PolicyKind.CHUNK_EVICTION,
          "all",
          "Keeps every chunk.",
          "Nothing is evicted, whatever the scores. Based on Parallel Context Windows (arXiv"
              + " 2212.10947).",
          List.of(),
          p -> new AllChunks());

  private AllChunks() {}

  @Override
  public Queue start(ChunkEvictionRequest request) {
    int chunks = request.chunks().size();
    int tokens = request.chunks().stream().mapToInt(Chunk::tokens).sum();
    if (tokens > request.maxKeptTokens()) {
      throw new InferenceException(
          ErrorCode.INVALID_ARGUMENT,
          "All "
              + tokens
              + " tokens would be read once more, but the model's window has room for "
              + request.maxKeptTokens()
              + "; choose the chunk-eviction 'best'.");
    }
    return new Queue() {
      private final List<Integer> offered = new ArrayList<>();

      @Override
      public int capacity() {
        return chunks;
      }

      @Override
      public List<Integer> offer(int chunk, double score) {
        offered.add(chunk);
        return List.of();
      }

      @Override
      public List<Integer> kept() {
        return offered.stream().sorted().toList();
      }
    };
  }
}
