/** A model of 6 million numbers as a resource, and the one class that makes a file of it. */
@NullMarked
package org.parallelcomp.models.needle6m;

import org.jspecify.annotations.NullMarked;
