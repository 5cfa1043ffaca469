/** The providers: ids to configured policies, and the presets. */
@NullMarked
package org.parallelcomp.core.policies;

import org.jspecify.annotations.NullMarked;
