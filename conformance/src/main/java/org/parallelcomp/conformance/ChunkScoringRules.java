package org.parallelcomp.conformance;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;
import org.parallelcomp.api.evidence.ChunkEvidence;
import org.parallelcomp.api.policy.ChunkScorer;
import org.parallelcomp.api.policy.PolicyKind;

abstract class ChunkScoringRules extends PolicyRules {
  private static final int CHUNKS = 9;

  @TestFactory
  Stream<DynamicTest> required_P301_evidenceNotDeclaredMakesNoDifference() {
    return each(
        PolicyKind.CHUNK_SCORER,
        candidate -> {
          var scorer = (ChunkScorer) candidate.create();
          for (int chunk = 0; chunk < CHUNKS; chunk++) {
            ChunkEvidence all = Decisions.evidence(ALL_EVIDENCE, chunk, CHUNKS, SEED);
            ChunkEvidence declared = Decisions.evidence(scorer, chunk, CHUNKS, SEED);
            assertEquals(scorer.score(declared), scorer.score(all), all.toString());
          }
        });
  }

  @TestFactory
  Stream<DynamicTest> required_P302_finiteEvidenceGivesAFiniteWorth() {
    return each(
        PolicyKind.CHUNK_SCORER,
        candidate -> {
          var scorer = (ChunkScorer) candidate.create();
          for (int chunk = 0; chunk < CHUNKS; chunk++) {
            double score = scorer.score(Decisions.evidence(scorer, chunk, CHUNKS, SEED));
            assertTrue(Double.isFinite(score), "chunk " + chunk + " is worth " + score);
          }
        });
  }

  @TestFactory
  Stream<DynamicTest> required_P303_aChunkIsJudgedWithoutTheOthers() {
    return each(
        PolicyKind.CHUNK_SCORER,
        candidate -> {
          var forwards = (ChunkScorer) candidate.create();
          var backwards = (ChunkScorer) candidate.create();
          double[] scores = new double[CHUNKS];
          for (int chunk = CHUNKS - 1; chunk >= 0; chunk--) {
            scores[chunk] = backwards.score(Decisions.evidence(backwards, chunk, CHUNKS, SEED));
          }
          for (int chunk = 0; chunk < CHUNKS; chunk++) {
            double score = forwards.score(Decisions.evidence(forwards, chunk, CHUNKS, SEED));
            assertEquals(scores[chunk], score, "chunk " + chunk + " in another order");
          }
        });
  }
}
