/** The path of a question: chunks, eviction, merge, decoding. */
@NullMarked
package org.parallelcomp.engine.generate;

import org.jspecify.annotations.NullMarked;
