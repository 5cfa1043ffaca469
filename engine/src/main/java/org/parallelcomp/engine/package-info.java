/**
 * What an embedder sees: {@link org.parallelcomp.engine.Engine} opens a model, a {@link
 * org.parallelcomp.engine.GenerationRequest} asks, a {@link org.parallelcomp.engine.TokenSink}
 * hears the answer as it grows, a {@link org.parallelcomp.engine.GenerationResult} says what was
 * done.
 */
@NullMarked
package org.parallelcomp.engine;

import org.jspecify.annotations.NullMarked;
