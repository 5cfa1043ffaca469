/** What the service loader finds: every policy of the module, and the presets that combine them. */
@NullMarked
package org.parallelcomp.core.policies;

import org.jspecify.annotations.NullMarked;
