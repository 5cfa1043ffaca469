package org.parallelcomp.engine.text;

/**
 * Everything around a chunk, as tokens: {@code [prefix ; chunk ; query]}.
 *
 * @param prefix what stands before the chunk: begin-of-sequence, chat markers, instruction
 * @param query what stands behind it: question form, chat markers, lead of the answer
 * @param questionFrom first token of the question's own words in {@code query}
 * @param questionTo end (exclusive) of the question's own words in {@code query}
 */
public record PromptParts(int[] prefix, int[] query, int questionFrom, int questionTo) {}
