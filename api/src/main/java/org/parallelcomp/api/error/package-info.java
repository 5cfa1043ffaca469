/** The one exception type, its codes and their categories. */
@NullMarked
package org.parallelcomp.api.error;

import org.jspecify.annotations.NullMarked;
