/** The decoder: weights and one forward pass told in the order of the mathematics. */
@NullMarked
package org.parallelcomp.engine.model;

import org.jspecify.annotations.NullMarked;
