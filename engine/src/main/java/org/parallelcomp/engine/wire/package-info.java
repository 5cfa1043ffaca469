/** Guice modules; the only package that knows Guice. */
@NullMarked
package org.parallelcomp.engine.wire;

import org.jspecify.annotations.NullMarked;
