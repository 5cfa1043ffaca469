/** What backends observe and policies decide by. */
@NullMarked
package org.parallelcomp.api.evidence;

import org.jspecify.annotations.NullMarked;
