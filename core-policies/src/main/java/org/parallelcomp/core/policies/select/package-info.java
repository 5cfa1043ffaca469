/** How many tokens of a chunk stay in each layer, and which of them, given their scores. */
@NullMarked
package org.parallelcomp.core.policies.select;

import org.jspecify.annotations.NullMarked;
