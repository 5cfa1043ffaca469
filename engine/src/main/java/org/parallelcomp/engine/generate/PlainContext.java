package org.parallelcomp.engine.generate;

import java.util.List;

/** One text as it is: nothing is scored, and nothing evicted before it has been read. */
final class PlainContext {
  private PlainContext() {}

  /**
   * Returns a context in which everything is still pending.
   *
   * @param textIds the text, perhaps kept chunks joined together
   * @param keptChunks which chunks the text is made of
   * @param chunkEnds where each of them ends in the text
   */
  static Context of(
      ContextRequest request,
      int[] textIds,
      List<Context.KeptChunk> keptChunks,
      List<Integer> chunkEnds) {
    int[] tokenIds =
        ChunkPrefill.concat(request.prompt().prefix(), textIds, request.prompt().query());
    int capacity = tokenIds.length + request.answerRoom();
    request.requireMemory(capacity, tokenIds.length, 1, 0);
    return new Context(
        OwnedLayer.allocate(request, capacity),
        request.prompt().prefix().length,
        textIds.length,
        0,
        tokenIds,
        keptChunks,
        chunkEnds,
        List.of());
  }
}
