/** What is evaluated, how it runs, and the files that it leaves. */
@NullMarked
package org.parallelcomp.eval;

import org.jspecify.annotations.NullMarked;
