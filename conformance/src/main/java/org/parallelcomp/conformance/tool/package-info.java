/** The kit as a program: runs its rules on what is installed and prints a table. */
@NullMarked
package org.parallelcomp.conformance.tool;

import org.jspecify.annotations.NullMarked;
