/** Tensors as backends hand them out: type, shape, layout; never their memory. */
@NullMarked
package org.parallelcomp.api.tensor;

import org.jspecify.annotations.NullMarked;
