/** How much each token of a chunk matters: one class per scorer, the higher the more important. */
@NullMarked
package org.parallelcomp.core.policies.score;

import org.jspecify.annotations.NullMarked;
