package org.parallelcomp.engine.generate;

import org.parallelcomp.api.policy.Chunk;

/**
 * A chunk that has been prefilled.
 *
 * @param selfInformation mean negative log-probability of the question's tokens, or NaN
 * @param session where its cache is
 */
record ScoredChunk(Chunk chunk, double selfInformation, ChunkCache cache, Session session) {}
