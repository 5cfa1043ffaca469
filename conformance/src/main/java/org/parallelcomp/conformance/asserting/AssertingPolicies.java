package org.parallelcomp.conformance.asserting;

import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import org.parallelcomp.api.backend.TensorOps;
import org.parallelcomp.api.cache.TokenSelection;
import org.parallelcomp.api.evidence.ChunkEvidence;
import org.parallelcomp.api.evidence.Evidence;
import org.parallelcomp.api.evidence.LayerEvidence;
import org.parallelcomp.api.policy.BudgetAllocator;
import org.parallelcomp.api.policy.BudgetRequest;
import org.parallelcomp.api.policy.CalibrationPolicy;
import org.parallelcomp.api.policy.Chunk;
import org.parallelcomp.api.policy.ChunkEvictionPolicy;
import org.parallelcomp.api.policy.ChunkScorer;
import org.parallelcomp.api.policy.ChunkingPolicy;
import org.parallelcomp.api.policy.Selector;
import org.parallelcomp.api.policy.SinkReweighting;
import org.parallelcomp.api.policy.TokenScorer;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Shape;
import org.parallelcomp.api.tensor.Tensor;

/** One wrapper for each kind of policy. */
final class AssertingPolicies {
  private AssertingPolicies() {}

  static ChunkingPolicy chunking(String name, ChunkingPolicy real) {
    return input -> {
      List<Chunk> chunks = real.split(input);
      int covered = 0;
      for (Chunk chunk : chunks) {
        int end = covered;
        Contract.require(
            chunk.fromToken() <= end
                && chunk.toToken() > end
                && chunk.tokens() <= input.maxChunkTokens(),
            () -> name + " gave " + chunk + " behind " + end + " of " + input);
        covered = chunk.toToken();
      }
      int end = covered;
      Contract.require(end == input.tokens(), () -> name + " covered " + end + " of " + input);
      return chunks;
    };
  }

  static ChunkScorer chunkScorer(ChunkScorer real) {
    return new ChunkScorer() {
      @Override
      public Set<Evidence> requires() {
        return real.requires();
      }

      /** Shows what was declared and nothing else. */
      @Override
      public double score(ChunkEvidence evidence) {
        Set<Evidence> declared = real.requires();
        return real.score(
            new ChunkEvidence(
                evidence.chunk(),
                evidence.chunks(),
                evidence.tokens(),
                declared.contains(Evidence.QUESTION_LIKELIHOOD)
                    ? evidence.questionLogLikelihoods()
                    : List.of(),
                declared.contains(Evidence.QUESTION_PRIOR)
                    ? evidence.priorLogLikelihoods()
                    : List.of(),
                declared.contains(Evidence.TOKEN_IDS) ? evidence.texts() : Optional.empty()));
      }
    };
  }

  static ChunkEvictionPolicy chunkEviction(String name, ChunkEvictionPolicy real) {
    return request -> {
      ChunkEvictionPolicy.Queue queue = real.start(request);
      var held = new TreeSet<Integer>();
      return new ChunkEvictionPolicy.Queue() {
        @Override
        public int capacity() {
          return queue.capacity();
        }

        @Override
        public List<Integer> offer(int chunk, double score) {
          held.add(chunk);
          List<Integer> evicted = queue.offer(chunk, score);
          for (int each : evicted) {
            Contract.require(held.remove(each), () -> name + " evicts " + each + " of " + held);
          }
          Contract.require(
              held.size() <= capacity(), () -> name + " holds " + held + ", room " + capacity());
          return evicted;
        }

        @Override
        public List<Integer> kept() {
          List<Integer> kept = queue.kept();
          Contract.require(
              kept.equals(List.copyOf(held)), () -> name + " keeps " + kept + " of " + held);
          return kept;
        }
      };
    };
  }

  static BudgetAllocator budget(String name, BudgetAllocator real) {
    return new BudgetAllocator() {
      @Override
      public int keptTokens(BudgetRequest request) {
        int kept = real.keptTokens(request);
        Contract.require(
            kept >= 0 && kept <= request.contextTokens(),
            () -> name + " keeps " + kept + " of " + request);
        return kept;
      }

      @Override
      public boolean evicts() {
        return real.evicts();
      }
    };
  }

  static TokenScorer tokenScorer(String name, TokenScorer real) {
    return new TokenScorer() {
      @Override
      public Set<Evidence> requires() {
        return real.requires();
      }

      @Override
      public int windowTokens(int queryTokens) {
        return real.windowTokens(queryTokens);
      }

      @Override
      public Tensor score(LayerEvidence evidence, TensorOps ops) {
        Tensor scores;
        try (var guard =
            new EvidenceGuard(
                name, evidence, real.requires(), windowTokens(evidence.queryTokens()))) {
          scores = real.score(guard.evidence(), ops);
        }
        Shape due = Shape.of(evidence.kvHeads(), evidence.contextTokens());
        Contract.require(
            scores.dtype() == DType.F32 && scores.shape().equals(due),
            () -> name + " gave scores of " + scores.dtype() + scores.shape() + " for " + due);
        return scores;
      }
    };
  }

  static Selector selector(String name, Selector real) {
    return new Selector() {
      @Override
      public Set<Evidence> requires() {
        return real.requires();
      }

      @Override
      public int windowTokens(int queryTokens) {
        return real.windowTokens(queryTokens);
      }

      @Override
      public TokenSelection select(
          Tensor scores, int keptTokens, LayerEvidence evidence, TensorOps ops) {
        TokenSelection selection;
        try (var guard =
            new EvidenceGuard(
                name, evidence, real.requires(), windowTokens(evidence.queryTokens()))) {
          selection = real.select(scores, keptTokens, guard.evidence(), ops);
        }
        long all = Arrays.stream(selection.keptTokens()).asLongStream().sum();
        int tokens = scores.shape().intDim(1);
        Contract.require(
            selection.tokens() == tokens
                && all == (long) keptTokens * selection.kvHeads()
                && selection.kvHeads() == scores.shape().dim(0),
            () ->
                name
                    + " keeps "
                    + Arrays.toString(selection.keptTokens())
                    + " of "
                    + selection.tokens()
                    + " where "
                    + keptTokens
                    + " of "
                    + tokens
                    + " are due");
        return selection;
      }
    };
  }

  static CalibrationPolicy calibration(String name, CalibrationPolicy real) {
    return new CalibrationPolicy() {
      @Override
      public Set<Evidence> requires(int layer, int layers) {
        return real.requires(layer, layers);
      }

      @Override
      public int windowTokens(int queryTokens) {
        return real.windowTokens(queryTokens);
      }

      @Override
      public Optional<SinkReweighting> reweighting(int layer, int layers) {
        return real.reweighting(layer, layers);
      }

      @Override
      public TokenSelection calibrate(
          LayerEvidence evidence, TokenSelection current, TensorOps ops) {
        TokenSelection kept;
        Set<Evidence> declared = real.requires(evidence.layer(), evidence.layers());
        try (var guard =
            new EvidenceGuard(name, evidence, declared, windowTokens(evidence.queryTokens()))) {
          kept = real.calibrate(guard.evidence(), current, ops);
        }
        Tensor isNew = ops.greaterThan(ops.subtract(ops.mask(kept), ops.mask(current)), 0.5f);
        int added = Arrays.stream(ops.selectWhere(isNew).keptTokens()).sum();
        Contract.require(added == 0, () -> name + " adds " + added + " tokens");
        return kept;
      }
    };
  }
}
