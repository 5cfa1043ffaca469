/** Pictures of results, as PNG and as SVG. */
@NullMarked
package org.parallelcomp.eval.plot;

import org.jspecify.annotations.NullMarked;
