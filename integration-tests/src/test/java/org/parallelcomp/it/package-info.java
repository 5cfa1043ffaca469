/** The whole path of a question on the bundled model, and the shape of what is shipped. */
@NullMarked
package org.parallelcomp.it;

import org.jspecify.annotations.NullMarked;
