package org.parallelcomp.engine.generate;

import jdk.jfr.Category;
import jdk.jfr.Description;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;

/** The phases of a request as events of the JDK Flight Recorder. */
final class PhaseEvents {
  private PhaseEvents() {}

  @Name("org.parallelcomp.Read")
  @Label("Read")
  @Category("ParallelComp")
  static final class Read extends Event {
    @Label("Text tokens")
    int textTokens;
  }

  @Name("org.parallelcomp.ChunkPrefill")
  @Label("Chunk Prefill")
  @Category("ParallelComp")
  static final class ChunkPrefill extends Event {
    @Label("Chunk")
    int chunk;

    @Label("Tokens")
    int tokens;

    @Label("Score")
    double score;

    @Label("Chunks in pass")
    @Description("How many chunks passed through the decoder together, all for the same time")
    int chunksInPass;
  }

  @Name("org.parallelcomp.ChunkEviction")
  @Label("Chunk Eviction")
  @Category("ParallelComp")
  static final class ChunkEviction extends Event {
    @Label("Chunk")
    int chunk;

    @Label("Freed bytes")
    long freedBytes;
  }

  @Name("org.parallelcomp.Merge")
  @Label("Merge")
  @Category("ParallelComp")
  static final class Merge extends Event {
    @Label("Kept chunks")
    int keptChunks;

    @Label("Kept bytes")
    long keptBytes;
  }

  @Name("org.parallelcomp.Decode")
  @Label("Decode")
  @Category("ParallelComp")
  static final class Decode extends Event {
    @Label("Answer tokens")
    int answerTokens;
  }
}
