package org.parallelcomp.api.policy;

import java.util.Set;
import org.parallelcomp.api.evidence.ChunkEvidence;
import org.parallelcomp.api.evidence.Evidence;

/** Judges how much a chunk helps to answer the question. */
public interface ChunkScorer {
  /** Returns the evidence that {@link #score} reads. */
  Set<Evidence> requires();

  /** Returns the chunk's worth: the higher, the more it should be kept; NaN ranks lowest. */
  double score(ChunkEvidence evidence);
}
