/** Questions whose answers are known, made from seeds or read from a file, and how they score. */
@NullMarked
package org.parallelcomp.eval.cases;

import org.jspecify.annotations.NullMarked;
