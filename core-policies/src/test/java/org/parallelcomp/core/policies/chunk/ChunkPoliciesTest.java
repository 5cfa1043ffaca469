package org.parallelcomp.core.policies.chunk;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.evidence.ChunkEvidence;
import org.parallelcomp.api.evidence.ChunkTexts;
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
              .split(new ChunkingInput(tokens, fits, ends, new BitSet()));

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
            .split(new ChunkingInput(1000, 400, new BitSet(), new BitSet()));
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
            .split(new ChunkingInput(96, 96, ends, new BitSet()));
    assertEquals(new Chunk(0, 0, 46), chunks.getFirst());
  }

  private static void assertCovers(List<Chunk> chunks, int tokens, int longest, String about) {
    int covered = 0;
    for (Chunk chunk : chunks) {
      assertEquals(chunks.indexOf(chunk), chunk.index(), about);
      assertTrue(chunk.fromToken() <= covered && chunk.toToken() > covered, about);
      assertTrue(chunk.tokens() <= longest, about);
      covered = chunk.toToken();
    }
    assertEquals(tokens, covered, about);
  }

  @Test
  void fixedChunksAreEqualButTheLast() {
    for (int seed = 0; seed < 100; seed++) {
      var random = new Random(seed);
      int tokens = random.nextInt(3000);
      int size = 1 + random.nextInt(600);
      int fits = 1 + random.nextInt(600);
      int overlap = random.nextInt(size);
      int length = Math.min(size, fits);
      List<Chunk> fixed =
          FixedChunks.FIXED
              .create(Map.of("tokens", "" + size))
              .split(new ChunkingInput(tokens, fits, new BitSet(), new BitSet()));
      assertCovers(fixed, tokens, length, "seed " + seed);
      assertEquals(Math.ceilDiv(tokens, length), fixed.size());
      List<Chunk> overlapping =
          FixedChunks.OVERLAPPING
              .create(Map.of("tokens", "" + size, "overlap", "" + overlap))
              .split(new ChunkingInput(tokens, fits, new BitSet(), new BitSet()));
      assertCovers(overlapping, tokens, length, "seed " + seed + " overlapping");
      for (int c = 1; c < overlapping.size(); c++) {
        int repeated = overlapping.get(c - 1).toToken() - overlapping.get(c).fromToken();
        assertEquals(Math.min(overlap, length - 1), repeated, "seed " + seed);
      }
    }
    assertThrows(
        InferenceException.class,
        () -> FixedChunks.OVERLAPPING.create(Map.of("tokens", "64", "overlap", "64")));
  }

  @Test
  void packedChunksEndWhereSentencesOrParagraphsDo() {
    for (int seed = 0; seed < 100; seed++) {
      var random = new Random(seed);
      int tokens = random.nextInt(2000);
      int size = 1 + random.nextInt(300);
      var sentences = new BitSet();
      var paragraphs = new BitSet();
      IntStream.range(0, tokens).filter(t -> random.nextInt(25) == 0).forEach(sentences::set);
      sentences.stream().filter(t -> random.nextInt(6) == 0).forEach(paragraphs::set);
      var input = new ChunkingInput(tokens, 250, sentences, paragraphs);
      int longest = Math.min(250, size);
      List<Chunk> bySentence =
          PackedChunks.SENTENCES.create(Map.of("tokens", "" + size)).split(input);
      List<Chunk> byParagraph =
          PackedChunks.PARAGRAPHS.create(Map.of("tokens", "" + size)).split(input);
      assertCovers(bySentence, tokens, longest, "seed " + seed);
      assertCovers(byParagraph, tokens, longest, "seed " + seed);
      for (Chunk chunk : bySentence) {
        assertPacked(chunk, sentences, tokens, longest, "seed " + seed);
      }
      for (Chunk chunk : byParagraph) {
        boolean hasEnd = paragraphs.get(chunk.fromToken(), limit(chunk, longest)).cardinality() > 0;
        assertPacked(chunk, hasEnd ? paragraphs : sentences, tokens, longest, "seed " + seed);
      }
    }
  }

  private static int limit(Chunk chunk, int longest) {
    return chunk.fromToken() + longest;
  }

  /** A chunk goes to the last end that fits, or as far as fits if none does. */
  private static void assertPacked(
      Chunk chunk, BitSet ends, int tokens, int longest, String about) {
    int limit = Math.min(tokens, limit(chunk, longest));
    int expected = limit;
    for (int end = chunk.fromToken(); end < limit && limit < tokens; end++) {
      expected = ends.get(end) ? end + 1 : expected == limit ? limit : expected;
    }
    assertEquals(limit == tokens ? tokens : expected, chunk.toToken(), about + " " + chunk);
  }

  @Test
  void wholeTextIsOneChunkOrRefused() {
    assertEquals(
        List.of(new Chunk(0, 0, 70)),
        WholeText.FACTORY
            .create(Map.of())
            .split(new ChunkingInput(70, 70, new BitSet(), new BitSet())));
    InferenceException refused =
        assertThrows(
            InferenceException.class,
            () ->
                WholeText.FACTORY
                    .create(Map.of())
                    .split(new ChunkingInput(71, 70, new BitSet(), new BitSet())));
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
  void firstAndLastLookAtThePlaceAlone() {
    ChunkScorer first = PositionChunkScore.FIRST.create(Map.of());
    ChunkScorer last = PositionChunkScore.LAST.create(Map.of());
    assertTrue(first.score(chunk(0, -9f)) > first.score(chunk(1, -1f)));
    assertTrue(last.score(chunk(0, -1f)) < last.score(chunk(1, -9f)));
    assertEquals(Set.of(), first.requires());
  }

  @Test
  void contrastiveIsWhatTheChunkTakesFromTheSurprise() {
    ChunkScorer scorer = ContrastiveInformation.FACTORY.create(Map.of());
    assertEquals(Set.of(Evidence.QUESTION_LIKELIHOOD, Evidence.QUESTION_PRIOR), scorer.requires());
    var evidence =
        new ChunkEvidence(0, 1, 9, List.of(-1f, -2f), List.of(-3f, -4f), Optional.empty());
    assertEquals(2, scorer.score(evidence), 1e-12);
  }

  @Test
  void lexicalMatchIsBm25() {
    for (int seed = 0; seed < 20; seed++) {
      var random = new Random(seed);
      List<int[]> chunks =
          IntStream.range(0, 12)
              .mapToObj(c -> random.ints(20 + random.nextInt(60), 0, 50).toArray())
              .toList();
      int[] question = random.ints(8, 0, 60).toArray();
      ChunkScorer scorer = LexicalMatch.FACTORY.create(Map.of("k-one", "1.5", "b", "0.6"));
      assertEquals(Set.of(Evidence.TOKEN_IDS), scorer.requires());
      double lengths = chunks.stream().mapToInt(ids -> ids.length).sum() / 12.0;
      for (int c = 0; c < 12; c++) {
        double expected = 0;
        for (int token : Arrays.stream(question).distinct().toArray()) {
          int having = 0;
          for (int[] ids : chunks) {
            having += Arrays.stream(ids).anyMatch(id -> id == token) ? 1 : 0;
          }
          long f = Arrays.stream(chunks.get(c)).filter(id -> id == token).count();
          double idf = Math.log(1 + (12 - having + 0.5) / (having + 0.5));
          double norm = 1.5 * (1 - 0.6 + 0.6 * chunks.get(c).length / lengths);
          expected += idf * f * 2.5 / (f + norm);
        }
        var evidence =
            new ChunkEvidence(
                c,
                12,
                chunks.get(c).length,
                List.of(),
                List.of(),
                Optional.of(new ChunkTexts(question, chunks)));
        assertEquals(expected, scorer.score(evidence), 1e-12, "seed " + seed);
      }
    }
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

  /** Random worths with ties, NaN and infinities. */
  private static double[] worths(Random random, int offered) {
    return random
        .doubles(offered)
        .map(
            x ->
                x < 0.1
                    ? Double.NaN
                    : x > 0.97 ? Double.NEGATIVE_INFINITY : Math.round(x * 16) / 8.0 - 1)
        .toArray();
  }

  /** The chunks from the best to the worst. */
  private static List<Integer> ranked(double[] worths) {
    return IntStream.range(0, worths.length)
        .boxed()
        .sorted(
            Comparator.comparing((Integer c) -> Double.isNaN(worths[c]))
                .thenComparing(c -> -worths[c] + 0.0)
                .thenComparing(c -> c))
        .toList();
  }

  /** Offers chunks of given lengths in document order and checks what the queue promises. */
  private static List<Integer> kept(
      ChunkEvictionPolicy policy, double[] worths, int[] lengths, String about) {
    var chunks = new ArrayList<Chunk>();
    int from = 0;
    for (int c = 0; c < lengths.length; c++) {
      chunks.add(new Chunk(c, from, from += lengths[c]));
    }
    ChunkEvictionPolicy.Queue queue =
        policy.start(new ChunkEvictionRequest(chunks, Integer.MAX_VALUE));
    var live = new ArrayList<Integer>();
    for (int c = 0; c < worths.length; c++) {
      live.add(c);
      for (int evicted : queue.offer(c, worths[c])) {
        assertTrue(live.remove((Integer) evicted), about);
      }
      assertTrue(live.size() <= queue.capacity(), about);
    }
    assertEquals(live, queue.kept(), about);
    return live;
  }

  @Test
  void adaptiveEvictionsKeepWhatTheWholeRankingSays() {
    for (int seed = 0; seed < 300; seed++) {
      var random = new Random(seed);
      int offered = 1 + random.nextInt(30);
      double[] worths = worths(random, offered);
      int[] lengths = random.ints(offered, 1, 200).toArray();
      int most = 1 + random.nextInt(6);
      String about = "seed " + seed;
      List<Integer> ranked = ranked(worths);

      double best = worths[ranked.getFirst()];
      List<Integer> close =
          ranked.stream()
              .filter(c -> c.equals(ranked.getFirst()) || worths[c] >= best - 0.25)
              .limit(most)
              .sorted()
              .toList();
      assertEquals(
          close,
          kept(
              ChunksNearBest.FACTORY.create(Map.of("most", "" + most, "gap", "0.25")),
              worths,
              lengths,
              about));

      assertEquals(
          ranked.stream().filter(c -> worths[c] >= 0.5).limit(most).sorted().toList(),
          kept(
              ChunksAboveThreshold.FACTORY.create(Map.of("most", "" + most, "least", "0.5")),
              worths,
              lengths,
              about));

      int keep = 1 + random.nextInt(800);
      var fitting = new ArrayList<Integer>();
      int tokens = 0;
      for (int c : ranked) {
        tokens += lengths[c];
        if (tokens > keep && !fitting.isEmpty()) {
          break;
        }
        fitting.add(c);
      }
      assertEquals(
          fitting.stream().sorted().toList(),
          kept(ChunksOfTokens.FACTORY.create(Map.of("keep", "" + keep)), worths, lengths, about));
    }
  }

  @Test
  void noChunkStaysIfNoneReachesTheThreshold() {
    assertEquals(
        List.of(),
        kept(
            ChunksAboveThreshold.FACTORY.create(Map.of()),
            new double[] {-0.1, Double.NaN, -3},
            new int[] {5, 5, 5},
            "none"));
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
            BestChunks.FACTORY.create(Map.of("chunks", "3")),
            ChunksNearBest.FACTORY.create(Map.of("most", "3")),
            ChunksAboveThreshold.FACTORY.create(Map.of("most", "3")),
            ChunksOfTokens.FACTORY.create(Map.of("keep", "30")),
            AllChunks.FACTORY.create(Map.of()))) {
      assertThrows(InferenceException.class, () -> policy.start(room));
    }
  }

  /** So many chunks of ten tokens, to be merged side by side. */
  private static ChunkEvictionRequest request(int chunks) {
    return new ChunkEvictionRequest(
        IntStream.range(0, chunks).mapToObj(c -> new Chunk(c, 10 * c, 10 * c + 10)).toList(),
        Integer.MAX_VALUE);
  }

  @Test
  void aChunkHoldsAtLeastOneToken() {
    assertThrows(
        IllegalArgumentException.class, () -> new ChunkingInput(10, 0, new BitSet(), new BitSet()));
  }
}
