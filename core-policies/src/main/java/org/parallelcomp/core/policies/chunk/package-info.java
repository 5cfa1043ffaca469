/** From the text to the chunks that stay: how it is cut, how a chunk is judged, which are kept. */
@NullMarked
package org.parallelcomp.core.policies.chunk;

import org.jspecify.annotations.NullMarked;
