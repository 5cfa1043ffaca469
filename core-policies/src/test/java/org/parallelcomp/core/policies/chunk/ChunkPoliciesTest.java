package org.parallelcomp.core.policies.chunk;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.BitSet;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.evidence.ChunkEvidence;
import org.parallelcomp.api.evidence.Evidence;
import org.parallelcomp.api.policy.Chunk;
import org.parallelcomp.api.policy.ChunkEvictionPolicy;
import org.parallelcomp.api.policy.ChunkEvictionRequest;
import org.parallelcomp.api.policy.ChunkScorer;
import org.parallelcomp.api.policy.ChunkingInput;

class ChunkPoliciesTest {
  /** The loop of the reference implementation, character by character. */
  private static List<Chunk> reference(int tokens, int size, int slack, BitSet sentenceEnds) {
    var out = new ArrayList<Chunk>();
    int a = 0;
    while (a < tokens) {
      int left = tokens - a;
      int b = a + (int) Math.ceil(left / Math.ceil((double) left / size));
      if (b < tokens) {
        for (int j = b; j > Math.max(a + 1, b - slack); j--) {
          if (sentenceEnds.get(j - 1)) {
            b = j;
            break;
          }
        }
      }
      out.add(new Chunk(out.size(), a, b));
      a = b;
    }
    return out;
  }

  @Test
  void evenChunksAreThoseOfTheReference() {
    for (int seed = 0; seed < 200; seed++) {
      var random = new Random(seed);
      int tokens = random.nextInt(3000);
      int size = 1 + random.nextInt(600);
      int slack = random.nextInt(100);
      int fits = 1 + random.nextInt(600);
      var ends = new BitSet();
      IntStream.range(0, tokens).filter(t -> random.nextInt(40) == 0).forEach(ends::set);
      List<Chunk> chunks =
          EvenChunks.FACTORY
              .create(Map.of("tokens", "" + size, "slack", "" + slack))
              .split(new ChunkingInput(tokens, fits, ends));

      assertEquals(reference(tokens, Math.min(size, fits), slack, ends), chunks, "seed " + seed);
      int next = 0;
      for (Chunk chunk : chunks) {
        assertEquals(next, chunk.fromToken(), "seed " + seed);
        assertTrue(chunk.tokens() <= Math.min(size, fits), "seed " + seed);
        next = chunk.toToken();
      }
      assertEquals(tokens, next, "seed " + seed);
    }
  }

  @Test
  void evenChunksOfZeroTokensAreAsLongAsFits() {
    List<Chunk> chunks =
        EvenChunks.FACTORY
            .create(Map.of("tokens", "0"))
            .split(new ChunkingInput(1000, 400, new BitSet()));
    assertEquals(List.of(334, 333, 333), chunks.stream().map(Chunk::tokens).toList());
  }

  @Test
  void evenChunksAreCutAtTheLastSentenceEndWithinTheSlack() {
    var ends = new BitSet();
    ends.set(30);
    ends.set(45);
    ends.set(49);
    List<Chunk> chunks =
        EvenChunks.FACTORY
            .create(Map.of("tokens", "48", "slack", "10"))
            .split(new ChunkingInput(96, 96, ends));
    assertEquals(new Chunk(0, 0, 46), chunks.getFirst());
  }

  @Test
  void wholeTextIsOneChunkOrRefused() {
    assertEquals(
        List.of(new Chunk(0, 0, 70)),
        WholeText.FACTORY.create(Map.of()).split(new ChunkingInput(70, 70, new BitSet())));
    InferenceException refused =
        assertThrows(
            InferenceException.class,
            () ->
                WholeText.FACTORY.create(Map.of()).split(new ChunkingInput(71, 70, new BitSet())));
    assertEquals(ErrorCode.INVALID_ARGUMENT, refused.code());
  }

  private static ChunkEvidence chunk(int index, Float... logLikelihoods) {
    return new ChunkEvidence(index, 9, 100, List.of(logLikelihoods));
  }

  @Test
  void selfInformationIsTheMeanLogLikelihoodOfTheQuestion() {
    ChunkScorer scorer = SelfInformation.FACTORY.create(Map.of());
    assertEquals(Set.of(Evidence.QUESTION_LIKELIHOOD), scorer.requires());
    double expected = ((double) -0.1f + (double) -7.5f + (double) -0.001f) / 3;
    assertEquals(expected, scorer.score(chunk(0, -0.1f, -7.5f, -0.001f)), 1e-15);
    assertTrue(Double.isNaN(scorer.score(chunk(0, -1f, Float.NaN))));
  }

  @Test
  void constantScoreNeedsNothingAndTellsNothing() {
    ChunkScorer scorer = ConstantChunkScore.FACTORY.create(Map.of());
    assertEquals(Set.of(), scorer.requires());
    assertEquals(scorer.score(chunk(0)), scorer.score(chunk(8, -3f)));
  }

  @Test
  void randomScoreDependsOnSeedAndChunkAlone() {
    ChunkScorer scorer = RandomChunkScore.FACTORY.create(Map.of("seed", "7"));
    ChunkScorer again = RandomChunkScore.FACTORY.create(Map.of("seed", "7"));
    ChunkScorer other = RandomChunkScore.FACTORY.create(Map.of("seed", "8"));
    double backwards = scorer.score(chunk(5));
    assertEquals(backwards, again.score(chunk(5, -2f)));
    assertNotEquals(backwards, scorer.score(chunk(6)));
    assertNotEquals(backwards, other.score(chunk(5)));
    assertNotEquals(backwards, other.score(chunk(4)), "seeds must not be shifts of one another");
    double mean =
        IntStream.range(0, 1000).mapToDouble(c -> scorer.score(chunk(c))).average().orElse(0);
    assertEquals(0.5, mean, 0.03);
  }

  @Test
  void bestKeepsWhatASortWouldKeep() {
    for (int seed = 0; seed < 200; seed++) {
      var random = new Random(seed);
      int offered = 1 + random.nextInt(40);
      int keep = 1 + random.nextInt(6);
      double[] scores =
          random
              .doubles(offered)
              .map(x -> x < 0.1 ? Double.NaN : Math.round(x * 8) / 8.0 - 0.5)
              .toArray();
      scores[random.nextInt(offered)] = Double.NEGATIVE_INFINITY;
      ChunkEvictionPolicy.Queue queue =
          BestChunks.FACTORY.create(Map.of("chunks", "" + keep)).start(request(offered));
      assertEquals(Math.min(keep, offered), queue.capacity());
      var evicted = new ArrayList<Integer>();
      for (int c = 0; c < offered; c++) {
        evicted.addAll(queue.offer(c, scores[c]));
        assertTrue(c + 1 - evicted.size() <= keep, "seed " + seed);
      }
      List<Integer> sorted =
          IntStream.range(0, offered)
              .boxed()
              .sorted(
                  Comparator.comparing((Integer c) -> Double.isNaN(scores[c]))
                      .thenComparing(c -> -scores[c] + 0.0)
                      .thenComparing(c -> c))
              .limit(keep)
              .sorted()
              .toList();
      assertEquals(sorted, queue.kept(), "seed " + seed);
      evicted.addAll(queue.kept());
      assertEquals(offered, evicted.stream().distinct().count(), "seed " + seed);
    }
  }

  @Test
  void bestTakesTheEarlierOfEqualChunks() {
    ChunkEvictionPolicy.Queue queue = BestChunks.FACTORY.create(Map.of()).start(request(3));
    assertEquals(List.of(), queue.offer(0, 0.0));
    assertEquals(List.of(1), queue.offer(1, -0.0));
    assertEquals(List.of(2), queue.offer(2, 0.0));
    assertEquals(List.of(0), queue.kept());
  }

  @Test
  void requestsShareNoState() {
    ChunkEvictionPolicy policy = BestChunks.FACTORY.create(Map.of());
    ChunkEvictionPolicy.Queue first = policy.start(request(2));
    ChunkEvictionPolicy.Queue second = policy.start(request(2));
    first.offer(0, 9);
    second.offer(1, 1);
    assertEquals(List.of(0), first.kept());
    assertEquals(List.of(1), second.kept());
  }

  @Test
  void allKeepsEverything() {
    ChunkEvictionPolicy.Queue queue = AllChunks.FACTORY.create(Map.of()).start(request(3));
    assertEquals(3, queue.capacity());
    assertEquals(List.of(), queue.offer(0, Double.NaN));
    assertEquals(List.of(), queue.offer(1, 4));
    assertEquals(List.of(), queue.offer(2, -4));
    assertEquals(List.of(0, 1, 2), queue.kept());
  }

  @Test
  void whatCouldNotBeReadOnceMoreIsRefused() {
    var room = new ChunkEvictionRequest(request(5).chunks(), 29);
    assertEquals(2, BestChunks.FACTORY.create(Map.of("chunks", "2")).start(room).capacity());
    for (ChunkEvictionPolicy policy :
        List.of(
            BestChunks.FACTORY.create(Map.of("chunks", "3")), AllChunks.FACTORY.create(Map.of()))) {
      assertThrows(InferenceException.class, () -> policy.start(room));
    }
  }

  /** So many chunks of ten tokens, to be merged side by side. */
  private static ChunkEvictionRequest request(int chunks) {
    return new ChunkEvictionRequest(
        IntStream.range(0, chunks).mapToObj(c -> new Chunk(c, 10 * c, 10 * c + 10)).toList(),
        Integer.MAX_VALUE);
  }
}
