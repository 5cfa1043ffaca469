/** The key-value cache of one layer, and the selection of the tokens that stay in it. */
@NullMarked
package org.parallelcomp.api.cache;

import org.jspecify.annotations.NullMarked;
