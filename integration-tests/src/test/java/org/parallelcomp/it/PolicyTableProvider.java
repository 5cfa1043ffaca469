package org.parallelcomp.it;

import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.atomic.AtomicLong;
import org.parallelcomp.api.backend.TensorOps;
import org.parallelcomp.api.cache.TokenSelection;
import org.parallelcomp.api.evidence.Evidence;
import org.parallelcomp.api.evidence.LayerEvidence;
import org.parallelcomp.api.policy.Chunk;
import org.parallelcomp.api.policy.ChunkingPolicy;
import org.parallelcomp.api.policy.Parameter;
import org.parallelcomp.api.policy.PolicyFactory;
import org.parallelcomp.api.policy.PolicyKind;
import org.parallelcomp.api.policy.PolicyProvider;
import org.parallelcomp.api.policy.PolicySpec;
import org.parallelcomp.api.policy.Selector;
import org.parallelcomp.api.policy.TokenScorer;
import org.parallelcomp.api.tensor.Tensor;

/**
 * What {@link PolicyTable} needs beside the library: cuts at given tokens, and scorers and
 * selectors that say how long they took. It is registered on the class path of {@code
 * scripts/policies.sh} alone.
 */
public final class PolicyTableProvider implements PolicyProvider {
  private static final AtomicLong NANOS = new AtomicLong();

  /** Creates the provider; called by the service loader. */
  public PolicyTableProvider() {}

  /** Returns the time spent in timed policies since it was last asked for. */
  static long takeNanos() {
    return NANOS.getAndSet(0);
  }

  @Override
  public List<PolicyFactory<?>> policies() {
    return List.of(
        new PolicyFactory<ChunkingPolicy>(
            PolicyKind.CHUNKING,
            "cut-at",
            "Chunks of given lengths.",
            "For texts that were put together of chunks.",
            List.of(Parameter.text("lengths", "[]", "tokens of each chunk but the last")),
            p ->
                cutAt(
                    PolicySpec.parseList(p.text("lengths")).stream()
                        .map(Integer::valueOf)
                        .toList())),
        new PolicyFactory<TokenScorer>(
            PolicyKind.TOKEN_SCORER,
            "timed",
            "Another scorer, timed.",
            "Evidence counts, since it is computed when it is asked for.",
            List.of(Parameter.policy("scorer", PolicyKind.TOKEN_SCORER, "none", "what scores")),
            p -> new TimedScorer(p.policy("scorer", TokenScorer.class))),
        new PolicyFactory<Selector>(
            PolicyKind.SELECTOR,
            "timed",
            "Another selector, timed.",
            "Evidence counts, since it is computed when it is asked for.",
            List.of(Parameter.policy("selector", PolicyKind.SELECTOR, "top-k", "what selects")),
            p -> new TimedSelector(p.policy("selector", Selector.class))));
  }

  private static ChunkingPolicy cutAt(List<Integer> lengths) {
    return input -> {
      var chunks = new ArrayList<Chunk>();
      int from = 0;
      for (int length : lengths) {
        chunks.add(new Chunk(chunks.size(), from, from + length));
        from += length;
      }
      chunks.add(new Chunk(chunks.size(), from, input.tokens()));
      return chunks;
    };
  }

  private record TimedScorer(TokenScorer scorer) implements TokenScorer {
    @Override
    public Set<Evidence> requires() {
      return scorer.requires();
    }

    @Override
    public int windowTokens(int queryTokens) {
      return scorer.windowTokens(queryTokens);
    }

    @Override
    public Tensor score(LayerEvidence evidence, TensorOps ops) {
      long begin = System.nanoTime();
      Tensor scores = scorer.score(evidence, ops);
      NANOS.addAndGet(System.nanoTime() - begin);
      return scores;
    }
  }

  private record TimedSelector(Selector selector) implements Selector {
    @Override
    public Set<Evidence> requires() {
      return selector.requires();
    }

    @Override
    public int windowTokens(int queryTokens) {
      return selector.windowTokens(queryTokens);
    }

    @Override
    public TokenSelection select(
        Tensor scores, int keptTokens, LayerEvidence evidence, TensorOps ops) {
      long begin = System.nanoTime();
      TokenSelection selection = selector.select(scores, keptTokens, evidence, ops);
      NANOS.addAndGet(System.nanoTime() - begin);
      return selection;
    }
  }
}
