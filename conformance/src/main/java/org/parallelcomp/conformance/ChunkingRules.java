package org.parallelcomp.conformance;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.function.BiConsumer;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;
import org.parallelcomp.api.policy.Chunk;
import org.parallelcomp.api.policy.ChunkingPolicy;
import org.parallelcomp.api.policy.PolicyKind;

abstract class ChunkingRules extends PolicyRules {
  private static final int[] TOKENS = {1, 2, 7, 64, 207, 1025, 4098};
  private static final int[] MOST = {1, 2, 13, 64, 500, 4098};

  private record Text(int tokens, int mostTokens) {}

  /** Tries texts and windows of many sizes; a refusal is no split, and so no fault here. */
  private Stream<DynamicTest> eachSplit(BiConsumer<Text, List<Chunk>> rule) {
    return each(
        PolicyKind.CHUNKING,
        candidate -> {
          var chunking = (ChunkingPolicy) candidate.create();
          for (int tokens : TOKENS) {
            for (int most : MOST) {
              Object split =
                  Decisions.splitOrRefuse(chunking, tokens, most, new Random(SEED + tokens));
              if (split instanceof List<?> chunks) {
                var typed = new ArrayList<Chunk>();
                chunks.forEach(chunk -> typed.add((Chunk) chunk));
                rule.accept(new Text(tokens, most), typed);
              } else {
                assertTrue(tokens > most, "refused " + tokens + " tokens, which fit " + most);
              }
            }
          }
        });
  }

  @TestFactory
  Stream<DynamicTest> required_P201_chunksCoverEveryTokenInDocumentOrder() {
    return eachSplit(
        (text, chunks) -> {
          int from = -1;
          int to = 0;
          for (int i = 0; i < chunks.size(); i++) {
            Chunk chunk = chunks.get(i);
            assertEquals(i, chunk.index(), () -> text + ": " + chunks);
            int begin = from;
            int end = to;
            assertTrue(chunk.fromToken() > begin, () -> text + ": " + chunk + " is out of order");
            assertTrue(chunk.fromToken() <= end, () -> text + ": a gap before " + chunk);
            assertTrue(chunk.toToken() > end, () -> text + ": " + chunk + " adds nothing");
            from = chunk.fromToken();
            to = chunk.toToken();
          }
          assertEquals(text.tokens, to, () -> text + ": " + chunks);
        });
  }

  @TestFactory
  Stream<DynamicTest> required_P202_noChunkIsLongerThanTheMost() {
    return eachSplit(
        (text, chunks) ->
            chunks.forEach(
                chunk -> assertTrue(chunk.tokens() <= text.mostTokens, text + " " + chunk)));
  }

  @TestFactory
  Stream<DynamicTest> required_P203_anEmptyTextHasNoChunks() {
    return each(
        PolicyKind.CHUNKING,
        candidate ->
            assertEquals(
                List.of(),
                Decisions.splitOrRefuse(
                    (ChunkingPolicy) candidate.create(), 0, 100, new Random(SEED))));
  }
}
