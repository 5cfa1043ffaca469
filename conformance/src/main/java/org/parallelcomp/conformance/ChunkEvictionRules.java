package org.parallelcomp.conformance;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.BiConsumer;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;
import org.parallelcomp.api.policy.ChunkEvictionPolicy;
import org.parallelcomp.api.policy.ChunkEvictionRequest;
import org.parallelcomp.api.policy.PolicyKind;

abstract class ChunkEvictionRules extends PolicyRules {
  private static final int CHUNKS = 9;

  /** Scores in the order of the chunks: any, rising, falling, equal, some of them no number. */
  private static List<double[]> requests() {
    var requests = new ArrayList<double[]>();
    var random = new Random(SEED);
    for (int chunks : new int[] {1, 2, 5, 20, 64}) {
      requests.add(random.doubles(chunks, -9, 9).toArray());
      requests.add(IntStream.range(0, chunks).asDoubleStream().toArray());
      requests.add(IntStream.range(0, chunks).mapToDouble(i -> -i).toArray());
      requests.add(new double[chunks]);
      requests.add(withNan(chunks, random));
    }
    return requests;
  }

  private static double[] withNan(int chunks, Random random) {
    return IntStream.range(0, chunks)
        .mapToDouble(i -> random.nextInt(3) == 0 ? Double.NaN : random.nextInt(5) - 2)
        .toArray();
  }

  private Stream<DynamicTest> eachRequest(BiConsumer<ChunkEvictionPolicy, double[]> rule) {
    return each(
        PolicyKind.CHUNK_EVICTION,
        candidate ->
            requests()
                .forEach(scores -> rule.accept((ChunkEvictionPolicy) candidate.create(), scores)));
  }

  @TestFactory
  Stream<DynamicTest> required_P401_noMoreChunksAreHeldThanTheQueueSays() {
    return eachRequest(
        (policy, scores) -> {
          ChunkEvictionPolicy.Queue queue = Decisions.start(policy, scores.length);
          int capacity = queue.capacity();
          assertTrue(capacity >= 1, "room for " + capacity + " chunks");
          int held = 0;
          for (int chunk = 0; chunk < scores.length; chunk++) {
            held += 1 - Set.copyOf(queue.offer(chunk, scores[chunk])).size();
            assertTrue(held <= capacity, held + " chunks held, room for " + capacity);
            assertEquals(capacity, queue.capacity(), "the room has changed");
          }
          assertTrue(queue.kept().size() <= capacity, queue.kept() + ", room for " + capacity);
        });
  }

  @TestFactory
  Stream<DynamicTest> required_P402_onlyWhatIsHeldIsEvicted() {
    return eachRequest(
        (policy, scores) -> {
          ChunkEvictionPolicy.Queue queue = Decisions.start(policy, scores.length);
          var held = new TreeSet<Integer>();
          for (int chunk = 0; chunk < scores.length; chunk++) {
            held.add(chunk);
            for (int evicted : queue.offer(chunk, scores[chunk])) {
              assertTrue(held.remove(evicted), "evicted " + evicted + ", held " + held);
            }
          }
        });
  }

  @TestFactory
  Stream<DynamicTest> required_P403_whatWasNotEvictedIsKeptInDocumentOrder() {
    return eachRequest(
        (policy, scores) -> {
          List<List<Integer>> answers = Decisions.evict(policy, scores);
          var held = new TreeSet<Integer>();
          for (int chunk = 0; chunk < scores.length; chunk++) {
            held.add(chunk);
            held.removeAll(answers.get(chunk));
          }
          assertEquals(List.copyOf(held), answers.getLast(), Arrays.toString(scores));
        });
  }

  /**
   * Whether scores matter at all: some keep by place alone, to which the rules of rank are none.
   */
  private static boolean looksAtScores(Candidate candidate) {
    double[] rising = IntStream.range(0, 64).asDoubleStream().toArray();
    double[] falling = IntStream.range(0, 64).mapToDouble(i -> -i).toArray();
    return !kept(candidate, rising).equals(kept(candidate, falling));
  }

  private static List<Integer> kept(Candidate candidate, double... scores) {
    return Decisions.evict((ChunkEvictionPolicy) candidate.create(), scores).getLast();
  }

  @TestFactory
  Stream<DynamicTest> required_P404_noNumberIsEvictedForWhatIsNone() {
    return each(
        PolicyKind.CHUNK_EVICTION,
        candidate -> {
          for (int round = 0; looksAtScores(candidate) && round < 20; round++) {
            double[] scores = withNan(12, new Random(SEED + round));
            List<Integer> kept = kept(candidate, scores);
            boolean keptNan = kept.stream().anyMatch(chunk -> Double.isNaN(scores[chunk]));
            boolean lostNumber =
                IntStream.range(0, scores.length)
                    .anyMatch(chunk -> !Double.isNaN(scores[chunk]) && !kept.contains(chunk));
            assertTrue(!(keptNan && lostNumber), () -> kept + " of " + Arrays.toString(scores));
          }
        });
  }

  @TestFactory
  Stream<DynamicTest> required_P405_ofEqualChunksTheEarlierStays() {
    return each(
        PolicyKind.CHUNK_EVICTION,
        candidate -> {
          for (int round = 0; looksAtScores(candidate) && round < 20; round++) {
            var random = new Random(SEED + round);
            double[] scores = random.ints(15, 0, 4).asDoubleStream().toArray();
            List<Integer> kept = kept(candidate, scores);
            for (int later : kept) {
              for (int earlier = 0; earlier < later; earlier++) {
                assertTrue(
                    scores[earlier] != scores[later] || kept.contains(earlier),
                    () -> kept + " of " + Arrays.toString(scores));
              }
            }
          }
        });
  }

  @TestFactory
  Stream<DynamicTest> required_P406_keptChunksFitTogetherOrAreRefused() {
    return each(
        PolicyKind.CHUNK_EVICTION,
        candidate -> {
          for (int maxTokens : new int[] {CHUNKS * Decisions.CHUNK_TOKENS, 450, 100, 99}) {
            var policy = (ChunkEvictionPolicy) candidate.create();
            var request = new ChunkEvictionRequest(Decisions.chunks(CHUNKS), maxTokens);
            Object kept = Decisions.orRefused(() -> keptOf(policy.start(request)));
            if (kept instanceof List<?> chunks) {
              assertTrue(
                  chunks.size() * Decisions.CHUNK_TOKENS <= maxTokens,
                  chunks + " of " + Decisions.CHUNK_TOKENS + " tokens, room for " + maxTokens);
            }
          }
        });
  }

  private static List<Integer> keptOf(ChunkEvictionPolicy.Queue queue) {
    double[] scores = Decisions.scores(CHUNKS, SEED);
    for (int chunk = 0; chunk < CHUNKS; chunk++) {
      queue.offer(chunk, scores[chunk]);
    }
    return queue.kept();
  }
}
