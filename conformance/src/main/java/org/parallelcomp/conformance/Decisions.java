package org.parallelcomp.conformance;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.function.Supplier;
import org.parallelcomp.api.backend.TensorOps;
import org.parallelcomp.api.cache.TokenSelection;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.evidence.ChunkEvidence;
import org.parallelcomp.api.evidence.ChunkTexts;
import org.parallelcomp.api.evidence.Evidence;
import org.parallelcomp.api.evidence.LayerEvidence;
import org.parallelcomp.api.policy.BudgetAllocator;
import org.parallelcomp.api.policy.BudgetRequest;
import org.parallelcomp.api.policy.CalibrationPolicy;
import org.parallelcomp.api.policy.Chunk;
import org.parallelcomp.api.policy.ChunkEvictionPolicy;
import org.parallelcomp.api.policy.ChunkEvictionRequest;
import org.parallelcomp.api.policy.ChunkScorer;
import org.parallelcomp.api.policy.ChunkingInput;
import org.parallelcomp.api.policy.ChunkingPolicy;
import org.parallelcomp.api.policy.Selector;
import org.parallelcomp.api.policy.TokenScorer;
import org.parallelcomp.api.tensor.Tensor;
import org.parallelcomp.conformance.SeededLayer.Numbers;
import org.parallelcomp.conformance.SeededLayer.Sizes;

/** What a policy of any kind decides in a request that comes from a seed. */
final class Decisions {
  static final int CHUNK_TOKENS = 100;
  private static final int LIKELIHOODS = 7;

  private Decisions() {}

  /** Returns all that it decides, in a form that can be compared. */
  static List<Object> of(Object policy, long seed) {
    var decisions = new ArrayList<>();
    try (var bench = new PolicyBench()) {
      for (int i = 0; i < 2; i++) {
        Sizes sizes = PolicyBench.SIZES.get(2 + i);
        decisions.add(
            switch (policy) {
              case ChunkingPolicy chunking -> split(chunking, seed + i);
              case ChunkScorer scorer -> scorer.score(evidence(scorer, i, 3, seed));
              case ChunkEvictionPolicy eviction -> evict(eviction, scores(20, seed + i));
              case BudgetAllocator budget -> kept(budget, request(sizes, 1 + i));
              case TokenScorer scorer -> {
                LayerEvidence layer =
                    layer(
                        bench,
                        sizes,
                        Numbers.NORMAL,
                        seed,
                        scorer.windowTokens(sizes.queryTokens()));
                yield floats(bench.numbers(scorer.score(layer, bench.ops())));
              }
              case Selector selector -> {
                Tensor scores = scores(bench, sizes, seed);
                LayerEvidence layer =
                    layer(bench, sizes, Numbers.NORMAL, seed, PolicyRules.ANY_WINDOW);
                int keep = sizes.contextTokens() / 3;
                yield PolicyBench.lists(
                    bench.kept(select(selector, layer, scores, keep, bench.ops())));
              }
              case CalibrationPolicy calibration -> {
                LayerEvidence layer =
                    layer(
                        bench,
                        sizes,
                        Numbers.NORMAL,
                        seed,
                        calibration.windowTokens(sizes.queryTokens()));
                var everything = TokenSelection.everything(sizes.kvHeads(), sizes.contextTokens());
                yield calibration.requires(sizes.layer(), sizes.layers()).isEmpty()
                    ? List.of()
                    : PolicyBench.lists(
                        bench.kept(calibration.calibrate(layer, everything, bench.ops())));
              }
              default -> policy;
            });
      }
    }
    return decisions;
  }

  /** The one place that knows the arguments of a selector. */
  static TokenSelection select(
      Selector selector, LayerEvidence layer, Tensor scores, int keptTokens, TensorOps ops) {
    return selector.select(scores, keptTokens, layer, ops);
  }

  private static LayerEvidence layer(
      PolicyBench bench, Sizes sizes, Numbers numbers, long seed, int windowTokens) {
    return bench.layer(sizes, numbers, seed, PolicyRules.ALL_EVIDENCE, windowTokens);
  }

  private static Object split(ChunkingPolicy chunking, long seed) {
    return splitOrRefuse(chunking, 2000, 700, new Random(seed));
  }

  /** Returns the chunks, or the code with which the text was refused. */
  static Object splitOrRefuse(ChunkingPolicy chunking, int tokens, int most, Random random) {
    var sentenceEnds = new BitSet();
    var paragraphEnds = new BitSet();
    for (int t = 0; t < tokens; t++) {
      sentenceEnds.set(t, random.nextInt(20) == 0);
      paragraphEnds.set(t, sentenceEnds.get(t) && random.nextInt(4) == 0);
    }
    return orRefused(
        () -> chunking.split(new ChunkingInput(tokens, most, sentenceEnds, paragraphEnds)));
  }

  /** Returns what was decided, or INVALID_ARGUMENT if that was the answer. */
  static Object orRefused(Supplier<Object> decision) {
    try {
      return decision.get();
    } catch (InferenceException e) {
      if (e.code() == ErrorCode.INVALID_ARGUMENT) {
        return e.code();
      }
      throw e;
    }
  }

  /** Returns what is seen of a chunk by a scorer: no more than it declared. */
  static ChunkEvidence evidence(ChunkScorer scorer, int chunk, int chunks, long seed) {
    return evidence(scorer.requires(), chunk, chunks, seed);
  }

  static ChunkEvidence evidence(Set<Evidence> declared, int chunk, int chunks, long seed) {
    return new ChunkEvidence(
        chunk,
        chunks,
        CHUNK_TOKENS,
        declared.contains(Evidence.QUESTION_LIKELIHOOD) ? likelihoods(chunk, seed) : List.of(),
        declared.contains(Evidence.QUESTION_PRIOR) ? likelihoods(-1, seed) : List.of(),
        declared.contains(Evidence.TOKEN_IDS)
            ? Optional.of(texts(chunks, seed))
            : Optional.empty());
  }

  private static ChunkTexts texts(int chunks, long seed) {
    var random = new Random(seed);
    var all = new ArrayList<int[]>();
    for (int chunk = 0; chunk < chunks; chunk++) {
      all.add(random.ints(CHUNK_TOKENS, 0, 200).toArray());
    }
    return new ChunkTexts(random.ints(LIKELIHOODS, 0, 200).toArray(), all);
  }

  static List<Float> likelihoods(int chunk, long seed) {
    return new Random(seed * 31 + chunk)
        .doubles(LIKELIHOODS, -12, 0)
        .mapToObj(p -> (float) p)
        .toList();
  }

  /** Returns what is evicted on the way, and at last what is kept. */
  static List<List<Integer>> evict(ChunkEvictionPolicy eviction, double... scores) {
    ChunkEvictionPolicy.Queue queue = start(eviction, scores.length);
    var answers = new ArrayList<List<Integer>>();
    for (int chunk = 0; chunk < scores.length; chunk++) {
      answers.add(queue.offer(chunk, scores[chunk]));
    }
    answers.add(queue.kept());
    return answers;
  }

  static ChunkEvictionPolicy.Queue start(ChunkEvictionPolicy eviction, int chunks) {
    return eviction.start(new ChunkEvictionRequest(chunks(chunks), Integer.MAX_VALUE));
  }

  /** Returns chunks of one length. */
  static List<Chunk> chunks(int count) {
    var chunks = new ArrayList<Chunk>();
    for (int c = 0; c < count; c++) {
      chunks.add(new Chunk(c, c * CHUNK_TOKENS, (c + 1) * CHUNK_TOKENS));
    }
    return chunks;
  }

  static double[] scores(int chunks, long seed) {
    return new Random(seed).doubles(chunks, -9, 9).toArray();
  }

  static BudgetRequest request(Sizes sizes, int keptChunks) {
    return new BudgetRequest(
        sizes.layer(),
        sizes.layers(),
        sizes.kvHeads(),
        sizes.contextTokens(),
        8L * sizes.headDim(),
        keptChunks);
  }

  /** Returns how many tokens are kept, or INVALID_ARGUMENT. */
  static Object kept(BudgetAllocator budget, BudgetRequest request) {
    return orRefused(() -> budget.keptTokens(request));
  }

  /** Returns scores of which no two in a head are equal. */
  static Tensor scores(PolicyBench bench, Sizes sizes, long seed) {
    var random = new Random(seed);
    float[] scores = new float[sizes.kvHeads() * sizes.contextTokens()];
    for (int i = 0; i < scores.length; i++) {
      scores[i] = (float) random.nextGaussian();
    }
    return bench.floats(scores, sizes.kvHeads(), sizes.contextTokens());
  }

  static List<Float> floats(float[] numbers) {
    var floats = new ArrayList<Float>();
    for (float number : numbers) {
      floats.add(number);
    }
    return floats;
  }

  static String text(int[][] kept) {
    return Arrays.deepToString(kept);
  }
}
