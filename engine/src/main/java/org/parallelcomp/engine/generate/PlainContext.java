package org.parallelcomp.engine.generate;

import java.util.List;

/** One text as it is: nothing is scored and nothing evicted. */
final class PlainContext {
  private PlainContext() {}

  /**
   * Returns a context in which everything is still pending.
   *
   * @param textIds the text, perhaps kept chunks joined together
   * @param keptChunks which chunks the text is made of
   */
  static Context of(ContextRequest request, int[] textIds, List<Context.KeptChunk> keptChunks) {
    int[] tokenIds =
        ChunkPrefill.concat(request.prompt().prefix(), textIds, request.prompt().query());
    int capacity = tokenIds.length + request.answerTokens();
    request.requireMemory(capacity, tokenIds.length, 1, 0);
    return new Context(
        request.decoder().allocateLayers(request.scope(), capacity),
        0,
        tokenIds,
        request.cacheBytes(tokenIds.length - request.prompt().query().length),
        keptChunks);
  }
}
